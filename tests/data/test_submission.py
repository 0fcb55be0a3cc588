import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digit_recognizer.data.submission import check_upload, parse, render
from digit_recognizer.errors import InputError
from promises import gate

LABELS = np.array([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6])
GOOD = render(LABELS)


def test_the_format_is_that_of_kaggles_example():
    assert render(np.array([2, 0, 9])) == b"ImageId,Label\n1,2\n2,0\n3,9\n"


def test_written_labels_are_read_back():
    assert parse(GOOD, "x.csv", len(LABELS)).tolist() == LABELS.tolist()
    assert parse(GOOD, "x.csv", None).dtype == np.uint8


def test_28000_labels_may_be_uploaded():
    labels = np.random.default_rng(0).integers(0, 10, 28_000, np.uint8)
    check_upload(render(labels), "x.csv", 28_000)


@pytest.mark.parametrize("labels", [np.array([0.0, 1.0]), np.array([[1]]), np.array([10]), np.array([-1])])
def test_only_integer_digits_are_written(labels):
    with pytest.raises(ValueError, match="expected"):
        render(labels)


DEVIATIONS = {
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "end in CR": GOOD.replace(b"\n", b"\r\n"),
    "quoted": GOOD.replace(b"1,7", b'"1","7"'),
    "empty lines": GOOD.replace(b"\n3,", b"\n\n3,"),
    "no line end": GOOD[:-1],
    "order": GOOD.replace(b"1,7\n2,2\n", b"2,2\n1,7\n"),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_a_harmless_deviation_is_read_but_not_uploaded(deviation):
    assert parse(DEVIATIONS[deviation], "x.csv", 12).tolist() == LABELS.tolist()
    with pytest.raises(InputError, match="only the plain format is uploaded"):
        check_upload(DEVIATIONS[deviation], "x.csv", 12)


FAULTS = {
    b"": "received an empty file",
    b"\n\n": "received an empty file",
    b"\xef\xbb\xbf\n": "received an empty file",
    b"PK\x03\x04\x14": "received a zip archive",
    b"ImageId,Label\n": "found none",
    b"<!DOCTYPE html>\n": "received a web page",
    b"ImageId;Label\n1;7\n": "line 1: .* received 'ImageId;Label'",
    b"ImageId,Label,\n1,2,\n": "received 'ImageId,Label,'",
    b",ImageId,Label\n0,1,7\n": "received ',ImageId,Label'",
    b"Id,Label\n1,7\n": "line 1: .* received 'Id,Label'",
    b"Label,ImageId\n7,1\n": "line 1: expected the header ImageId,Label, received 'Label,ImageId'",
    GOOD.decode().encode("utf-16"): "UTF-8",
    b'ImageId,Label\n"1"7,2\n': "line 2: not valid CSV",
    GOOD.replace(b"3,1", b"3"): r"line 4: expected 2 values, ImageId,Label, received 1\.",
    GOOD.replace(b"3,1", b"3,1,1"): r"line 4: expected 2 values, .* received 3\.",
    GOOD[:-2]: r"line 13: expected a label 0..9, received ''",
    GOOD.replace(b"3,1", b"3,1.0"): r"line 4: .* received '1.0'",
    GOOD.replace(b"3,1", b"3,10"): "line 4: .* received '10'",
    GOOD.replace(b"3,1", b"3,-1"): "received '-1'",
    GOOD.replace(b"3,1", b"3,"): "line 4: expected a label 0..9, received ''",
    GOOD.replace(b"3,1", b"3, 1"): "received ' 1'",
    GOOD.replace(b"3,1", "3,١".encode()): "line 4: expected a label 0..9",
    GOOD.replace(b"3,1", b"3.0,1"): "line 4: expected an integer ImageId from 1 to 12, received '3.0'",
    GOOD.replace(b"\n3,1", b"\n03,1"): "line 4: expected an integer ImageId",
    GOOD.replace(b"\n3,1", b"\n" + b"3" * 5000 + b",1"): "line 4: expected an integer ImageId",
    GOOD.replace(b"\n3,1", b"\n2,1"): "line 4: expected each ImageId once, received 2 again",
    GOOD.replace(b"\n3,1", b"\n300,1"): "line 4: expected an integer ImageId from 1 to 12, received '300'",
    GOOD.replace(b"\n3,1", b""): "expected 12 rows with ImageId 1 to 12, received 11",
    GOOD + b"13,1\n": "expected 12 rows with ImageId 1 to 12, received 13",
    GOOD.replace(b"\n12,", b"\n0,"): "line 13: expected an integer ImageId from 1 to 12, received '0'",
}


@pytest.mark.parametrize("data", FAULTS, ids=FAULTS.values())
def test_a_fault_is_refused_with_its_line(data):
    for check in (parse, check_upload):
        with pytest.raises(InputError) as caught:
            check(data, "x.csv", 12)
        assert re.search(FAULTS[data], str(caught.value))
        assert str(caught.value).startswith("x.csv")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


ONE_HOT = pd.DataFrame(np.eye(10, dtype=int)[LABELS])


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"Label": LABELS, "ImageId": range(1, 13)}),
        pd.DataFrame({"ImageId": range(1, 13), "Label": LABELS.astype(float)}),
        ONE_HOT,
        ONE_HOT * 0.5 + 0.05,
        pd.concat([pd.Series(range(1, 13), name="ImageId"), ONE_HOT], axis=1),
    ],
    ids=["columns exchanged", "float labels", "one-hot", "probabilities", "one-hot with ImageId"],
)
def test_the_line_of_python_in_the_error_makes_a_submission(frame):
    with pytest.raises(InputError) as caught:
        parse(frame.to_csv(index=False).encode(), "x.csv", 12)
    [line] = re.findall("`(frame = .*)`", str(caught.value))
    names = {"frame": frame, "pandas": pd}
    exec(line, names)
    assert parse(names["frame"].to_csv(index=False).encode(), "x.csv", 12).tolist() == LABELS.tolist()


def test_without_a_known_length_gaps_are_still_refused():
    with pytest.raises(InputError, match="line 12: expected an integer ImageId from 1 to 11, received '12'"):
        parse(GOOD.replace(b"\n3,1", b""), "x.csv", None)


def test_the_same_label_in_every_row_is_refused():
    with pytest.raises(InputError, match="every label is 3"):
        check_upload(render(np.full(12, 3)), "x.csv", 12)


@settings(max_examples=500, deadline=None)
@given(labels=st.lists(st.integers(0, 9), min_size=2, max_size=12), chance=st.randoms(use_true_random=False))
def test_a_changed_file_passes_if_and_only_if_it_is_valid(labels, chance):
    good = render(np.array(labels))
    for data in (good, gate.mutated(good, chance), chance.choice(gate.FAULTS)(good, chance)):
        try:
            check_upload(data, "x.csv", len(labels))
        except InputError:
            assert not gate.is_fit(data, len(labels)), data
        else:
            assert gate.is_fit(data, len(labels)), data
