"""Harmful and harmless changes of Kaggle's CSVs, in bytes."""

import gzip
import io
import zipfile

from kaggle_csv import kaggle_test, kaggle_train, with_cell

TRAIN, TEST = kaggle_train(), kaggle_test()


def each_line(data: bytes, change) -> bytes:
    """Change every line, the header too."""
    return b"".join(change(line) + b"\n" for line in data.splitlines())


def each_row(data: bytes, change) -> bytes:
    header, rows = data.split(b"\n", 1)
    return header + b"\n" + each_line(rows, change)


def without_column(data: bytes, column: int) -> bytes:
    def cut(line: bytes) -> bytes:
        cells = line.split(b",")
        return b",".join(cells[:column] + cells[column + 1 :])

    return each_line(data, cut)


def with_line(data: bytes, line: int, text: bytes) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([*lines[: line - 1], text, *lines[line - 1 :]])


def rotated(line: bytes) -> bytes:
    first, rest = line.split(b",", 1)
    return rest + b"," + first


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("train.csv", data)
    return buffer.getvalue()


# A change of a good file, and a part of the expected message. Column 7 is a pixel in both files.
HARMFUL = {
    "empty": (lambda data: b"", "received an empty file"),
    "only empty lines": (lambda data: b"\n\n \r\n", "received an empty file"),
    "a byte-order mark alone": (lambda data: b"\xef\xbb\xbf", "received an empty"),
    "header alone": (lambda data: data.split(b"\n")[0] + b"\n", "received only the header"),
    "no header and a column missing": (
        lambda data: without_column(data.split(b"\n", 1)[1], 7),
        "line 1: expected ",
    ),
    "an empty line before the header": (lambda data: b"\n" + data, "line 1: expected the header"),
    "header twice": (lambda data: data.split(b"\n")[0] + b"\n" + data, "received 'pixel0'"),
    "a pixel column missing": (lambda data: without_column(data, 7), "line 1: expected pixel"),
    "an extra named column": (lambda data: each_line(data, lambda line: line + b",1"), "line 1: expected nothing"),
    "an index in front": (
        lambda data: b"," + data.replace(b"\n", b"\n3,")[:-2],
        "index column '' in front",
    ),
    "an extra value in each row": (lambda data: each_row(data, lambda row: row + b",0"), "line 2: expected"),
    "an extra comma in each row": (lambda data: each_row(data, lambda row: row + b","), "line 2: expected"),
    "an extra value in front of each row": (lambda data: each_row(data, lambda row: b"0," + row), "line 2"),
    "an extra value in one row": (lambda data: with_cell(data, 5, 7, "0,0"), "line 5: expected"),
    "a value too few in one row": (lambda data: data.replace(b"\n0,", b"\n", 1), "values, received"),
    "columns rotated twice": (lambda data: each_line(each_line(data, rotated), rotated), "line 1: expected "),
    "two columns exchanged": (
        lambda data: data.replace(b"pixel7,pixel8,", b"pixel8,pixel7,"),
        "line 1: expected pixel7 as column",
    ),
    "a column name twice": (lambda data: with_cell(data, 1, 8, "pixel0"), "received 'pixel0'"),
    "header misspelt": (lambda data: with_cell(data, 1, 7, "Pixle7"), "received 'Pixle7'"),
    "pixel 256": (lambda data: with_cell(data, 3, 7, "256"), "0 to 255, received '256'"),
    "pixel 300": (lambda data: with_cell(data, 3, 7, "300"), "received '300'"),
    "pixel 999": (lambda data: with_cell(data, 3, 7, "999"), "received '999'"),
    "pixel 65536": (lambda data: with_cell(data, 3, 7, "65536"), "received '65536'"),
    "pixel -1": (lambda data: with_cell(data, 3, 7, "-1"), "received '-1'"),
    "pixel 0.5": (lambda data: with_cell(data, 3, 7, "0.5"), "received '0.5'"),
    "pixel 1e2": (lambda data: with_cell(data, 3, 7, "1e2"), "received '1e2'"),
    "pixel 1e999": (lambda data: with_cell(data, 3, 7, "1e999"), "received '1e999'"),
    "pixel empty": (lambda data: with_cell(data, 3, 7, ""), "received ''"),
    "pixel NaN": (lambda data: with_cell(data, 3, 7, "NaN"), "received 'NaN'"),
    "pixel text": (lambda data: with_cell(data, 3, 7, "ink"), "received 'ink'"),
    "pixel True": (lambda data: with_cell(data, 3, 7, "True"), "received 'True'"),
    "pixel hexadecimal": (lambda data: with_cell(data, 3, 7, "0x10"), "received '0x10'"),
    "pixel with thousands separator": (lambda data: with_cell(data, 3, 7, '"1,000"'), "received '1,000'"),
    "pixel in Arabic digits": (lambda data: with_cell(data, 3, 7, "٣"), "received '٣'"),
    "pixel a space": (lambda data: with_cell(data, 3, 7, " "), "column pixel"),
    "a quote not closed": (lambda data: with_cell(data, 3, 7, '"1'), "line 3: expected values between commas"),
    "a line end within quotes": (lambda data: with_cell(data, 3, 7, '"1\n"'), "line 3: expected values between commas"),
    "final line end missing": (lambda data: data[:-1], "it was cut short"),
    "last value cut short": (lambda data: with_cell(data, 21, -1, "255")[:-2], "it was cut short"),
    "last row cut short": (lambda data: data[:-900], "line 21: expected"),
    "a web page": (lambda data: b"<!DOCTYPE html>\n<html><head><title>Kaggle", "log in to Kaggle"),
    "a web page after empty lines": (lambda data: b"\n\n  <html>", "received a web page"),
    "semicolons": (lambda data: data.replace(b",", b";"), "between the columns, received ';'"),
    "tabs": (lambda data: data.replace(b",", b"\t"), r"received '\t'"),
    "semicolons in rows": (lambda data: each_row(data, lambda row: row.replace(b",", b";")), "received 1"),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "save it as UTF-8"),
    "UTF-16 without mark": (lambda data: data.decode().encode("utf-16-le"), "save it as UTF-8"),
    "NUL bytes": (lambda data: data[:-500] + bytes(500), "NUL bytes"),
    "a NUL byte in a cell": (lambda data: with_cell(data, 3, 7, "\0"), "NUL bytes (the first at byte"),
    "a zip": (zipped, "received a zip archive"),
    "an empty line in the middle": (lambda data: with_line(data, 9, b""), "line 9: expected"),
    "a comment in the middle": (lambda data: with_line(data, 9, b"# hello"), "line 9: expected"),
    "a Git LFS pointer": (lambda data: b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "two files one after the other": (lambda data: data + data, "line 22, column"),
}  # fmt: skip
HARMFUL_TO_TRAIN = {
    "test in its place": (lambda data: TEST, "is this test.csv in place of train.csv"),
    "the labels missing in the rows": (lambda data: each_row(data, lambda row: row[2:]), "received 784"),
    "another name of the label column": (lambda data: with_cell(data, 1, 0, "digit"), "expected label as column 1"),
    "one-hot labels": (
        lambda data: each_line(data, lambda line: b"0,0,0,0,0,0,0,0,0,1," + line.split(b",", 1)[1]),
        "received ten columns of labels (one-hot)",
    ),
    "label 10": (lambda data: with_cell(data, 4, 0, "10"), "line 4, column label: expected a whole number"),
    "label -1": (lambda data: with_cell(data, 4, 0, "-1"), "received '-1'"),
    "label 3.5": (lambda data: with_cell(data, 4, 0, "3.5"), "received '3.5'"),
    "label empty": (lambda data: with_cell(data, 4, 0, ""), "line 4, column label"),
    "a digit that never occurs": (
        lambda data: data.replace(b"\n7,", b"\n1,"),
        "expected all ten digits among the labels, received none of 7",
    ),
}  # fmt: skip
HARMFUL_PACKED = {
    "a gzip of a gzip": (
        lambda data: gzip.compress(gzip.compress(data)),
        "received a gzip archive. To fix this: unpack it with gunzip, as it is packed more than once",
    ),
    "a gzip cut short": (lambda data: gzip.compress(data)[:-9], "damaged or cut short"),
    "a gzip with a wrong bit": (lambda data: flipped(gzip.compress(data)), "the gzip is damaged"),
    "bytes after a gzip": (lambda data: gzip.compress(data) + b"more", "the gzip is damaged"),
    "a gzip bomb": (lambda data: gzip.compress(bytes(150_000_000)), "more than the limit"),
}  # fmt: skip
HARMFUL_TO_TEST = {
    "train in its place": (lambda data: TRAIN, "is this train.csv in place of test.csv"),
    "labels in the rows": (lambda data: each_row(data, lambda row: b"3," + row), "received 785"),
}
HARMLESS = {
    "as it is": lambda data: data,
    "byte-order mark": lambda data: b"\xef\xbb\xbf" + data,
    "Windows line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "old Mac line ends": lambda data: data.replace(b"\n", b"\r"),
    "quoted header": lambda data: each_line(data.split(b"\n")[0], quoted) + data.split(b"\n", 1)[1],
    "everything quoted": lambda data: each_line(data, quoted),
    "spaces around values": lambda data: data.replace(b",", b" , "),
    "spaces and quotes": lambda data: each_line(data, quoted).replace(b",", b", "),
    "1.0 for 1": lambda data: each_row(data, lambda row: row.replace(b",", b".0,") + b".00"),
    "leading zeros": lambda data: data.replace(b",0,", b",00000,"),
    "three digits each": lambda data: each_row(
        data, lambda row: b",".join(cell.rjust(3, b"0") for cell in row.split(b","))
    ),
    "empty lines at the end": lambda data: data + b"\n\r\n  \n",
    "gzip": gzip.compress,
    "gzip in two parts": lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
}


def quoted(line: bytes) -> bytes:
    return b'"' + line.replace(b",", b'","') + b'"'
