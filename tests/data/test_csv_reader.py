import io
import re
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digit_recognizer.data.csv_format import TEST_COLUMNS, TRAIN_COLUMNS, read_strictly
from digit_recognizer.data.csv_reader import CsvFile, parse_plain, read_test, read_train
from digit_recognizer.data.sources import find
from digit_recognizer.errors import InputError
from kaggle_csv import kaggle_test, kaggle_train, kaggle_zip, values, with_cell, written

TRAIN, TEST = kaggle_train(), kaggle_test()


def test_values_are_read_as_written(tmp_path):
    n = 200
    train = read_train(written(tmp_path, kaggle_train(n)))
    test = read_test(written(tmp_path, kaggle_test(n)))
    assert train.pixels.dtype == train.labels.dtype == test.pixels.dtype == np.uint8
    np.testing.assert_array_equal(train.pixels, values(n)[:, 1:])
    np.testing.assert_array_equal(train.labels, values(n)[:, 0])
    np.testing.assert_array_equal(test.pixels, values(n, seed=1)[:, 1:])


def renamed(data: bytes, naming) -> bytes:
    """The same file with other names of the pixels."""
    header, rows = data.split(b"\n", 1)
    names = [name if name == "label" else naming(int(name[5:])) for name in header.decode().split(",")]
    return ",".join(names).encode() + b"\n" + rows


def moved(data: bytes, place: int, name: bytes) -> bytes:
    """The same file with the labels in another place and of another name."""
    lines = []
    for line in data.splitlines():
        label, *cells = line.split(b",")
        lines.append(b",".join([*cells[:place], name if label == b"label" else label, *cells[place:]]) + b"\n")
    return b"".join(lines)


NAMINGS = {
    "pixel1 to pixel784": lambda i: f"pixel{i + 1}",
    "1x1 to 28x28": lambda i: f"{i // 28 + 1}x{i % 28 + 1}",
    "0 to 783": str,
    "1 to 784": lambda i: str(i + 1),
}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["plain", "strictly"])
@pytest.mark.parametrize("naming", NAMINGS)
def test_pixels_of_other_names_are_read_with_a_note(tmp_path, naming, end):
    train = read_train(written(tmp_path, renamed(TRAIN, NAMINGS[naming]).replace(b"\n", end)))
    assert train.note == f"pixels named {naming}"
    np.testing.assert_array_equal(train.pixels, values()[:, 1:])
    np.testing.assert_array_equal(train.labels, values()[:, 0])
    test = read_test(written(tmp_path, renamed(TEST, NAMINGS[naming]).replace(b"\n", end)))
    np.testing.assert_array_equal(test.pixels, values(seed=1)[:, 1:])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["plain", "strictly"])
@pytest.mark.parametrize(("place", "name"), [(784, "class"), (0, "Label"), (3, "LABEL")])
def test_labels_in_any_place_and_of_other_names_are_read_with_a_note(tmp_path, place, name, end):
    train = read_train(written(tmp_path, moved(TRAIN, place, name.encode()).replace(b"\n", end)))
    assert train.note == f"labels in column {place + 1} ({name})"
    np.testing.assert_array_equal(train.pixels, values()[:, 1:])
    np.testing.assert_array_equal(train.labels, values()[:, 0])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["plain", "strictly"])
def test_files_without_a_header_are_read_with_a_note(tmp_path, end):
    train = read_train(written(tmp_path, TRAIN.split(b"\n", 1)[1].replace(b"\n", end)))
    test = read_test(written(tmp_path, TEST.split(b"\n", 1)[1].replace(b"\n", end)))
    assert (train.note, test.note) == ("no header", "no header")
    np.testing.assert_array_equal(train.pixels, values()[:, 1:])
    np.testing.assert_array_equal(train.labels, values()[:, 0])
    np.testing.assert_array_equal(test.pixels, values(seed=1)[:, 1:])


def test_a_fault_in_a_file_without_a_header_is_reported_by_its_line(tmp_path):
    with pytest.raises(
        InputError, match="line 3, column pixel6: expected a whole number from 0 to 255, received '256'"
    ):
        read_train(written(tmp_path, with_cell(TRAIN, 4, 7, "256").split(b"\n", 1)[1]))


@pytest.mark.parametrize(("read", "content"), [(read_train, TRAIN), (read_test, TEST)])
def test_the_line_of_python_in_the_error_converts_floats_from_0_to_1(tmp_path, read, content):
    frame = pd.read_csv(io.BytesIO(content))
    scaled = frame.apply(lambda column: column if column.name == "label" else column / 255)
    with pytest.raises(InputError, match="received floats from 0 to 1") as caught:
        read(written(tmp_path, scaled.to_csv(index=False).encode()))
    [line] = re.findall("`(frame = .*)`", str(caught.value))
    names = {"frame": scaled}
    exec(line, names)
    np.testing.assert_array_equal(
        read(written(tmp_path, names["frame"].to_csv(index=False).encode())).pixels, frame.iloc[:, -784:]
    )


def test_kaggles_form_has_no_note(tmp_path):
    assert read_train(written(tmp_path, TRAIN)).note == ""


SMALL = {TRAIN_COLUMNS: kaggle_train(11), TEST_COLUMNS: kaggle_test(3)}
# fmt: off
GOOD_CELLS = ["0", "9", "00", "007", "10", "99", "100", "199", "200", "255", "0255", "1.0", '"1"', " 1"]
LARGE_CELLS = ["256", "260", "299", "300", "511", "999", "1000", "4294967296", "18446744073709551617"]
ODD_CELLS = [
    "", '""', '"', " ", "1.", ".0", "0.5", "-0", "+1", "1e1", "nan", "NA", "inf", "True", "x", "0x1", "1_0", "²", "٣"
]
# fmt: on
CELLS = st.sampled_from(GOOD_CELLS + LARGE_CELLS + ODD_CELLS)
PIECES = st.one_of(
    CELLS.map(str.encode), st.sampled_from([b",", b"\n", b"\r", b'"', b" ", b"\0"]), st.binary(max_size=4)
)


def same_or_declined(data: bytes, columns: tuple[str, ...]) -> None:
    """The strict reader accepts whatever the plain parser accepts, with the same values."""
    plain = parse_plain(data, columns)
    if plain is not None:
        np.testing.assert_array_equal(plain, read_strictly(data, columns, "data"))


@settings(max_examples=300, deadline=None)
@given(columns=st.sampled_from(list(SMALL)), draw=st.data())
def test_the_plain_parser_declines_or_agrees_after_cells_were_replaced(columns, draw):
    data = SMALL[columns]
    for _ in range(draw.draw(st.integers(1, 3))):
        line = draw.draw(st.integers(2, data.count(b"\n")))
        n_cells = data.split(b"\n")[line - 1].count(b",") + 1
        data = with_cell(data, line, draw.draw(st.integers(0, n_cells - 1)), draw.draw(CELLS))
    same_or_declined(data[: len(data) - draw.draw(st.integers(0, 1))], columns)


@settings(max_examples=300, deadline=None)
@given(columns=st.sampled_from(list(SMALL)), draw=st.data())
def test_the_plain_parser_declines_or_agrees_after_two_changes_that_keep_the_length(columns, draw):
    data = bytearray(SMALL[columns])
    start = data.index(b"\n") + 1
    less, more = sorted(draw.draw(st.integers(start, len(data) - 1)) for _ in range(2))
    added = draw.draw(st.sampled_from([b" ", b"0", b"+", b"-", b"\n", b"\r", b"\x0b", b"\0", b'"', b","]))
    data[more:more] = added
    del data[less]
    same_or_declined(bytes(data), columns)
    data = bytearray(SMALL[columns])
    data[more:more] = added
    same_or_declined(bytes(data[:-1]), columns)  # without the last line end


@settings(max_examples=300, deadline=None)
@given(columns=st.sampled_from(list(SMALL)), draw=st.data())
def test_the_plain_parser_declines_or_agrees_after_bytes_were_replaced(columns, draw):
    data = SMALL[columns]
    for _ in range(draw.draw(st.integers(1, 3))):
        start = draw.draw(st.integers(0, len(data)))
        stop = start + draw.draw(st.sampled_from([0, 1, 2, 4, 1000]))
        data = data[:start] + draw.draw(PIECES) + data[stop:]
    same_or_declined(data, columns)


def test_a_fault_is_noticed_in_any_line():
    data = kaggle_train(300)
    assert parse_plain(data, TRAIN_COLUMNS) is not None
    for line in range(2, 302, 15):
        assert parse_plain(with_cell(data, line, 784, "256"), TRAIN_COLUMNS) is None
        assert parse_plain(with_cell(data, line, 1, "0,0"), TRAIN_COLUMNS) is None


@pytest.mark.parametrize("separator", [b"\n", b","])
def test_a_file_of_separators_takes_no_memory(separator):
    header = ",".join(TRAIN_COLUMNS).encode()
    assert parse_plain(header + b"\n" + separator * 50_000_000 + b"\n", TRAIN_COLUMNS) is None


@pytest.mark.parametrize("name", ["train.zip", "train.csv.gz", "train.xz", "train.zst", "train.bz2", "train.tar"])
def test_a_plain_file_is_read_regardless_of_its_suffix(tmp_path, name):
    (tmp_path / name).write_bytes(TRAIN)
    assert read_train(CsvFile(tmp_path / name)).labels.tolist() == values()[:, 0].tolist()


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv: cannot be read"):
        read_train(CsvFile(tmp_path / "nowhere.csv"))
    with pytest.raises(InputError, match="received a folder"):
        read_train(CsvFile(tmp_path))


def test_a_zip_member_reads_like_the_file_and_has_its_fingerprint(tmp_path):
    packed = CsvFile(kaggle_zip(tmp_path / "x.zip", train=TRAIN, test=TEST), "train.csv")
    from_zip, from_file = read_train(packed), read_train(written(tmp_path, TRAIN))
    np.testing.assert_array_equal(from_zip.pixels, from_file.pixels)
    assert from_zip.fingerprint == from_file.fingerprint == f"{len(TRAIN)}-{zlib.crc32(TRAIN):08x}"
    assert str(packed) == str(tmp_path / "x.zip" / "train.csv")


def test_a_fault_in_a_zip_member_is_reported_with_zip_and_member(tmp_path):
    packed = CsvFile(kaggle_zip(tmp_path / "x.zip", train=with_cell(TRAIN, 3, 7, "300")), "train.csv")
    with pytest.raises(InputError, match=r"x\.zip.train\.csv"):
        read_train(packed)


def test_a_missing_member_is_named(tmp_path):
    packed = kaggle_zip(tmp_path / "x.zip", test=TEST)
    with pytest.raises(InputError, match="no such member"):
        read_train(CsvFile(packed, "train.csv"))


def test_a_damaged_zip_gives_the_same_values_or_an_input_error(tmp_path):
    path = kaggle_zip(tmp_path / "x.zip", train=TRAIN)
    intact = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in [*range(30), *rng.integers(30, len(intact), 100), *range(len(intact) - 100, len(intact))]:
        damaged = bytearray(intact)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_train(CsvFile(path, "train.csv")).labels, values()[:, 0])
        except InputError:
            n_refused += 1
    assert n_refused > 100


def test_a_zip_cut_short_is_an_input_error(tmp_path):
    path = kaggle_zip(tmp_path / "x.zip", train=TRAIN)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        read_train(CsvFile(path, "train.csv"))


@pytest.mark.parametrize("cell", ["256", "300", "999", "4294967296", "65536", "65541", "100000"])
def test_a_value_that_some_versions_of_pandas_wrap_is_refused(tmp_path, cell):
    with pytest.raises(InputError, match=rf"line 3, column pixel4.*received '{cell}'"):
        read_train(written(tmp_path, with_cell(TRAIN, 3, 5, cell)))


@pytest.mark.real
def test_both_readers_agree_on_the_real_files(real_data):
    source = find(real_data, real_data)
    data = source.test.content()
    np.testing.assert_array_equal(parse_plain(data, TEST_COLUMNS), read_strictly(data, TEST_COLUMNS, "test.csv"))
    assert read_train(source.train).pixels.shape == (42_000, 784)
