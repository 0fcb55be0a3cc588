"""What files are that are not CSVs, by their first bytes, and how to make a CSV of them."""

import codecs

DOWNLOAD = "download it again from https://www.kaggle.com/competitions/digit-recognizer/data"

_IMAGES = "write a row of 784 pixels for each image: numpy.savetxt(FILE, images.reshape(-1, 784), '%d', ',')"
_FORMATS = (  # the first bytes, or bytes near the start; the format; the remedy
    (b"<", b"", "a web page", f"log in to Kaggle, accept the competition's rules, and {DOWNLOAD}"),
    (b"PK\x03\x04", b".npy", "NumPy arrays (.npz)", f"load them with numpy.load, and {_IMAGES}"),
    (b"PK\x03\x04", b"xl/", "an Excel workbook", "pandas.read_excel(FILE).to_csv('train.csv', index=False)"),
    (
        b"PK\x03\x04",
        b"[Content_Types]",
        "an Excel workbook",
        "pandas.read_excel(FILE).to_csv('train.csv', index=False)",
    ),
    (b"PK\x03\x04", b"", "a zip archive", "let its name end in .zip, or unpack it"),
    (b"\x1f\x8b", b"", "a gzip archive", "unpack it with gunzip, as it is packed more than once"),
    (b"PAR1", b"", "a Parquet file", "pandas.read_parquet(FILE).to_csv('train.csv', index=False)"),
    (
        b"\x00\x00\x08",
        b"",
        "an IDX file, as MNIST's",
        "numpy.fromfile(FILE, 'uint8', offset=16).reshape(-1, 784) has its images (offset 8: labels)",
    ),
    (b"\x93NUMPY", b"", "a NumPy array (.npy)", f"load it with numpy.load, and {_IMAGES}"),
    (b"\x89PNG", b"", "a PNG image", f"read images with matplotlib.image.imread, and {_IMAGES}"),
    (b"\xff\xd8\xff", b"", "a JPEG image", f"read images with matplotlib.image.imread, and {_IMAGES}"),
    (b"\x89HDF", b"", "an HDF5 file", "pandas.read_hdf(FILE).to_csv('train.csv', index=False)"),
    (b"7z\xbc\xaf", b"", "a 7-Zip archive", "unpack it"),
    (b"Rar!", b"", "a RAR archive", "unpack it"),
    (b"version https://git-lfs", b"", "a Git LFS pointer, not the data", "fetch the data with `git lfs pull`"),
    (b"\xff\xfe", b"", "text saved as UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", b"", "text saved as UTF-16", "save it as UTF-8"),
)


def identify_other_format(data: bytes) -> tuple[str, str] | None:
    """What a file is that is not a CSV, and the remedy; None for one that may be a CSV."""
    blank = codecs.BOM_UTF8 + b" \t\r\n"
    text = data[:1024].lstrip(blank)
    if not text and not data.strip(blank):
        return "an empty file", DOWNLOAD
    for start, near, kind, remedy in _FORMATS:
        if text.startswith(start) and near in text[:100]:
            return kind, remedy
    if data[:4].count(0) == 2:
        return "text saved as UTF-16", "save it as UTF-8"
    if 0 in data:
        return f"one with NUL bytes (the first at byte {data.index(0):,}): not text, or damaged", DOWNLOAD
    return None
