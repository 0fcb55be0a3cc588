"""Chunks of images: plain and other rows are read as by the strict reader."""

import gzip
import re
from io import BytesIO

import numpy as np
import pytest

from digit_recognizer.data import stream
from digit_recognizer.data.csv_format import TEST_COLUMNS, TRAIN_COLUMNS, parse_row
from digit_recognizer.data.csv_reader import parse_rows
from digit_recognizer.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 784), dtype=np.uint8)
HEADER = ",".join(TEST_COLUMNS).encode() + b"\n"
ROWS = [b",".join(b"%d" % value for value in row) + b"\n" for row in PIXELS.tolist()]


@pytest.fixture
def small_chunks(monkeypatch):
    """Reads few bytes at a time, so that a small file has many chunks and blocks."""
    monkeypatch.setattr(stream, "_BLOCK", 5_000)
    monkeypatch.setattr(stream, "ROWS", 2)
    monkeypatch.setattr(stream, "_LONGEST", 190_000)


@pytest.fixture
def file(tmp_path):
    """The file that a test writes and reads."""
    return tmp_path / "images"


def read(file, content, after=0):
    file.write_bytes(content)
    found = list(stream.read(file, after))
    ids = [number for chunk in found for number in chunk.ids.tolist()]
    pixels = np.concatenate([chunk.pixels for chunk in found])
    return ids, pixels, [bad for chunk in found for bad in chunk.bad]


def npy(array):
    content = BytesIO()
    np.save(content, array)
    return content.getvalue()


def csv_of(*rows):
    return HEADER + b"".join(rows)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "packed",
    [
        lambda: csv_of(*ROWS),
        lambda: gzip.compress(csv_of(*ROWS)),
        lambda: gzip.compress(csv_of(*ROWS[:3])) + gzip.compress(b"".join(ROWS[3:])),
        lambda: b"".join(ROWS),
        lambda: HEADER[:-1] + b",Label\n" + b"".join(row[:-1] + b",9\n" for row in ROWS),
        lambda: csv_of(*ROWS).replace(b"\n", b"\r\n"),
        lambda: csv_of(*ROWS).replace(b"\n", b"\r"),
        lambda: b"\xef\xbb\xbf" + csv_of(*ROWS) + b"\n \n  \r\n ",
        lambda: csv_of(*ROWS).replace(b",0", b",000").replace(b",7,", b', "7.0",'),
        lambda: b"label," + csv_of(*(b"9," + row for row in ROWS)),
        lambda: npy(PIXELS),
        lambda: npy(PIXELS.reshape(-1, 28, 28)),
        lambda: npy(PIXELS.reshape(-1, 28, 28, 1)),
    ],
    ids=[
        "plain",
        "gzip",
        "gzip of parts",
        "no header",
        "labels last",
        "CRLF",
        "CR",
        "BOM, empty end",
        "variants",
        "labelled",
        "npy",
        "npy of images",
        "npy of images with a channel",
    ],
)
@pytest.mark.parametrize("after", [0, 1, 4, 6])
def test_every_format_gives_the_same_images_from_any_row_on(packed, after, file):
    ids, pixels, bad = read(file, packed(), after)
    assert ids == list(range(after + 1, 8))
    assert np.array_equal(pixels, PIXELS[after:])
    assert not bad


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"1,2\n", "line 4: expected 784 values, received 2"),
        (b"\n", "line 4: expected 784 values, received 0"),
        (b"256" + ROWS[0][ROWS[0].index(b",") :], "line 4, column pixel0: .* received '256'"),
        (b"-1" + ROWS[0][ROWS[0].index(b",") :], "line 4, column pixel0: .* received '-1'"),
        (b'"' + ROWS[0], "line 4: expected values between commas, received broken quotes"),
        (ROWS[0][:-1] + b",1\n", "line 4: expected 784 values, received 785"),
    ],
)
def test_a_bad_row_is_reported_by_its_line_and_the_others_are_read(row, fault, file):
    ids, pixels, [bad] = read(file, csv_of(*ROWS[:2], row, *ROWS[3:]))
    assert ids == [1, 2, 4, 5, 6, 7]
    assert np.array_equal(pixels, np.delete(PIXELS, 2, axis=0))
    assert (bad.row, bad.content) == (3, row[:-1])
    with pytest.raises(AssertionError, match=fault):
        raise AssertionError("; ".join(bad.faults))


@pytest.mark.usefixtures("small_chunks")
def test_many_bad_rows_are_split_into_chunks(file):
    file.write_bytes(csv_of(*[b"\n" * 999 + ROWS[0]] * 200))
    found = list(stream.read(file))
    assert sum(len(chunk.bad) for chunk in found) == 200 * 999
    assert max(len(chunk.bad) for chunk in found) < 30_000
    assert found[-1].ids.tolist() == [200_000]


@pytest.mark.usefixtures("small_chunks")
def test_only_the_long_rows_are_bad_and_are_split_into_chunks(file):
    file.write_bytes(csv_of(*ROWS, *[b"7" * 120_000 + b"\n"] * 6, ROWS[0]))
    found = list(stream.read(file))
    assert sum(len(chunk.bad) for chunk in found) == 6
    assert max(len(chunk.bad) for chunk in found) <= 2
    assert found[-1].ids.tolist() == [14]


@pytest.mark.usefixtures("small_chunks")
def test_the_last_row_of_a_file_that_was_cut_short_is_bad(file):
    ids, _, [bad] = read(file, csv_of(*ROWS)[:-1])
    assert ids == [1, 2, 3, 4, 5, 6]
    assert "cut short" in bad.faults[0]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "received an empty file"),
        (b"PK\x03\x04", "received a zip archive"),
        (b"<html>", "received a web page"),
        (HEADER, "received only the header"),
        (b"a,b\n1,2\n", "expected pixel0 as column 1, received 'a'"),
        (b"ImageId,Label\n1,2\n", "expected pixel0 as column 1, received 'ImageId'"),
        (ROWS[0].partition(b",")[2], "expected the header, received numbers"),
        (gzip.compress(csv_of(*ROWS))[:-9], "gzip is damaged or cut short"),
        (csv_of(ROWS[0]) + b"1" * 200_000, "bytes without one"),
    ],
)
def test_other_files_are_refused(content, message, file):
    with pytest.raises(InputError, match=f"(?s)^{re.escape(str(file))}.*{message}"):
        read(file, content)


IMAGES = PIXELS.reshape(-1, 28, 28)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "array",
    [
        PIXELS.astype(float),
        PIXELS.astype(np.int64),
        (IMAGES / 255).astype(np.float32),
        IMAGES.astype(np.float16),
        np.asfortranarray(IMAGES),
        IMAGES[:, None],
    ],
    ids=["whole floats", "int64", "0 to 1", "float16", "Fortran order", "channel first"],
)
@pytest.mark.parametrize("after", [0, 5])
def test_an_array_of_another_dtype_or_order_is_converted(array, after, file):
    ids, pixels, _ = read(file, npy(array), after)
    assert ids == list(range(after + 1, 8))
    assert np.array_equal(pixels, PIXELS[after:])


def test_an_array_of_one_image_is_converted(file):
    assert np.array_equal(read(file, npy(IMAGES[0]))[1], PIXELS[:1])


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (PIXELS.T, r"\(784, 7\)"),
        (np.moveaxis(IMAGES, 0, -1), r"\(28, 28, 7\)"),
        (PIXELS[0], r"\(784,\)"),
        (IMAGES / 127.5 - 1, "float64 from -1 to 1"),
        (np.where(IMAGES > 250, np.nan, IMAGES), "NaN or infinity"),
    ],
)
def test_the_line_of_python_in_the_error_converts_the_array(array, received, file):
    with pytest.raises(InputError, match=f"received {received}") as caught:
        read(file, npy(array))
    [line] = re.findall("`(images = .*)`", str(caught.value))
    names = {"numpy": np, "images": np.load(file)}
    exec(line, names)
    pixels = read(file, npy(names["images"]))[1]
    expected = np.where(PIXELS > 250, 0, PIXELS) if received.startswith("NaN") else PIXELS[: len(pixels)]
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("array", "received"), [(PIXELS[:, :9], r"received \(7, 9\)"), (np.array([{}, {}]), "a damaged npy")]
)
def test_an_array_that_holds_no_images_is_refused(array, received, file):
    with pytest.raises(InputError, match=received):
        read(file, npy(array))


@pytest.mark.usefixtures("small_chunks")
def test_an_array_that_is_damaged_or_empty_is_refused(file):
    content = npy(PIXELS)
    for damaged in (content[:-5], content + b"0", npy(PIXELS[:0])):
        with pytest.raises(InputError, match="damaged or empty npy"):
            read(file, damaged)
    with pytest.raises(InputError, match="a damaged npy"):
        read(file, content.replace(b"(7, 784)", b"((7, 784"))
    with pytest.raises(InputError, match="a damaged npy"):
        read(file, content[:40])


@pytest.mark.parametrize("columns", [TEST_COLUMNS, TRAIN_COLUMNS])
def test_pandas_and_the_strict_reader_agree(columns):
    """With one byte of a row changed, pandas reads the same values or declines."""
    rng = np.random.default_rng(1)
    row = b",".join(b"%d" % value for value in [*rng.integers(0, 10, 1), *rng.integers(0, 256, len(columns) - 1)])
    n_plain = 0
    for _ in range(600):
        place, byte = rng.integers(len(row)), rng.choice(np.frombuffer(b'0123456789,,\n .-e"', np.uint8))
        changed = row[:place] + bytes([byte]) + row[place + rng.integers(2) :]
        found = parse_rows(changed + b"\n", columns)
        if found is not None:
            n_plain += 1
            assert found.shape == (1, len(columns))
            assert parse_row(changed, columns, 2) == found.tobytes()
    assert n_plain > 80
