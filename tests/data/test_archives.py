"""Reading zips: intact members are read, damaged ones raise InputError."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from digit_recognizer.data import archives
from digit_recognizer.errors import InputError
from digit_recognizer.utils.files import MAX_RATIO, MIN_PACKED

CONTENT = b"".join(b"%d,%d\n" % (n, n * n) for n in range(500))
PACKINGS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}


def packed(packing):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        archive.writestr("train.csv", CONTENT)
    return buffer.getvalue()


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_member_is_read(packing, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(packed(PACKINGS[packing]))
    assert archives.names(path) == ["train.csv"]
    assert archives.read(path, "train.csv") == CONTENT


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_damaged_zip_gives_the_same_content_or_an_input_error(packing, tmp_path):
    path, rng = tmp_path / "x.zip", np.random.default_rng(0)
    intact = packed(PACKINGS[packing])
    refused = 0
    for _ in range(300):
        damaged = bytearray(intact)
        damaged[rng.integers(len(intact))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert archives.read(path, "train.csv") == CONTENT
        except InputError:
            refused += 1
    assert refused > 50


def test_a_zip_bomb_is_refused_before_it_is_inflated(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", bytes(MAX_RATIO * MIN_PACKED + 1))
    with pytest.raises(InputError, match="more than the limit"):
        archives.read(path, "train.csv")


def test_a_member_is_inflated_no_further_than_its_declared_size(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", bytes(200_000_000))
    declared = (200_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(declared, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(InputError, match="damaged"):
        archives.read(path, "train.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_another_compression_method_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(packed(zipfile.ZIP_BZIP2))
    with pytest.raises(InputError, match="unknown compression method"):
        archives.read(tmp_path / "x.zip", "train.csv")


def test_a_missing_zip_or_member_is_named(tmp_path):
    with pytest.raises(InputError, match="not found"):
        archives.names(tmp_path / "none.zip")
    (tmp_path / "x.zip").write_bytes(packed(zipfile.ZIP_STORED))
    with pytest.raises(InputError, match=r"no such member.*test\.csv"):
        archives.read(tmp_path / "x.zip", "test.csv")
