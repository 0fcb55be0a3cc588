"""Where data is searched for, and which paths are refused."""

import gzip
import io
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer.data.csv_reader import read_test, read_train
from digit_recognizer.data.sources import ZIP, find, sample_source
from digit_recognizer.errors import InputError
from kaggle_csv import kaggle_test, kaggle_train, kaggle_zip

TRAIN, TEST = kaggle_train(), kaggle_test()


def with_files(folder: Path, **files: bytes) -> Path:
    """Make a folder with `train=...` as train.csv and so on."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def zip_in(folder: Path, name: str = ZIP) -> Path:
    folder.mkdir(exist_ok=True)
    return kaggle_zip(folder / name, train=TRAIN, test=TEST)


def readable(source) -> bool:
    return len(read_train(source.train).pixels) == len(read_test(source.test).pixels) == 20


@pytest.fixture
def data(tmp_path):
    """The folder in which data is searched for without a path; it does not exist yet."""
    return tmp_path / "data"


def test_without_data_none_is_returned(data):
    assert find(None, data, notebook_inputs=()) is None


def test_a_named_folder_is_used(tmp_path, data):
    mine = with_files(tmp_path / "mine", train=TRAIN, test=TEST)
    source = find(mine, data)
    assert (source.kind, source.place) == ("folder", mine)
    assert source.describe() == f"{mine} (folder)"
    assert readable(source)


def test_gzipped_files_are_used_unless_there_are_plain_ones(tmp_path, data):
    folder = with_files(tmp_path / "mine", train=TRAIN, test=TEST)
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    fingerprint = read_train(find(folder, data).train).fingerprint
    (folder / "train.csv").unlink()
    source = find(folder, data)
    assert (source.train.path.name, source.test.path.name) == ("train.csv.gz", "test.csv")
    assert readable(source)
    assert read_train(source.train).fingerprint == fingerprint


@pytest.mark.parametrize("named", ["mine", "mine/digit-recognizer.zip"])
def test_kaggles_zip_is_used_by_its_name_or_that_of_its_folder(named, tmp_path, data):
    path = zip_in(tmp_path / "mine")
    source = find(tmp_path / named, data)
    assert (source.kind, source.place) == ("zip", path)
    assert readable(source)


def test_a_named_zip_may_have_any_name(tmp_path, data):
    assert readable(find(zip_in(tmp_path / "mine", "digit-recognizer (1).zip"), data))


def test_unpacked_files_are_preferred_to_the_zip(tmp_path, data):
    mine = with_files(tmp_path / "mine", train=TRAIN, test=TEST)
    zip_in(mine)
    assert find(mine, data).kind == "folder"


def test_without_a_path_the_data_folder_is_used(data):
    with_files(data, train=TRAIN, test=TEST)
    assert find(None, data).place == data


def test_without_a_path_the_zip_in_the_data_folder_is_used(data):
    assert find(None, data, notebook_inputs=[]) is None
    assert zip_in(data) == find(None, data).place


def test_a_data_folder_with_notes_alone_is_empty(data):
    with_files(data)
    (data / "README.md").write_text("What belongs here.")
    (data / ".gitkeep").touch()
    assert find(None, data, notebook_inputs=()) is None


def zip_of(path: Path, **members: bytes) -> None:
    """A zip with `train=...` as train.csv and so on, with the resource forks that macOS adds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"__MACOSX/._{name}.csv", b"\0\5\26\7")
            archive.writestr(f"{name}.csv", content)


def each_zipped(data):
    zip_of(data / "train.csv.zip", train=TRAIN)
    zip_of(data / "test.csv.zip", test=TEST)


def in_a_folder(data):
    with_files(data / "digit-recognizer", train=TRAIN, test=TEST)


def with_capitals(data):
    with_files(data, Train=TRAIN, TEST=TEST)


def in_a_renamed_zip(data):
    zip_of(data / "digit-recognizer (1).zip", train=TRAIN, test=TEST)


def in_a_folder_of_a_zip(data):
    zip_of(data / "archive.ZIP", **{"digits/train": TRAIN, "digits/test": TEST})


@pytest.mark.parametrize(
    "lay",
    [each_zipped, in_a_folder, with_capitals, in_a_renamed_zip, in_a_folder_of_a_zip],
    ids=lambda lay: lay.__name__,
)
@pytest.mark.parametrize("is_named", [False, True])
def test_data_is_recognised_however_it_was_downloaded(lay, is_named, data):
    lay(data)
    found = find(data if is_named else None, data, notebook_inputs=())
    assert readable(found)
    assert readable(find(found.place, data))  # as a later command finds it


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe in the file system is POSIX's")
def test_pipes_are_refused(data):
    data.mkdir()
    os.mkfifo(data / "digit-recognizer.zip")
    with pytest.raises(InputError, match="expected a file, received a folder or a device"):
        find(data / "digit-recognizer.zip", data)
    with pytest.raises(InputError, match=r"received digit-recognizer\.zip \(a device\)"):
        find(None, data, notebook_inputs=())


def test_a_tilde_is_the_home_folder(tmp_path, data, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with_files(tmp_path / "mine", train=TRAIN, test=TEST)
    assert readable(find(Path("~/mine"), data))


def test_two_datasets_in_a_folder_are_ambiguous(data):
    in_a_folder(data)
    in_a_renamed_zip(data)
    with pytest.raises(InputError, match=r"the data once, received it in .*\(1\)\.zip, .*digit-recognizer\. Name one"):
        find(None, data)


def saved(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def saved_arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x_train=np.zeros(3))
    return buffer.getvalue()


IDX = b"\0\0\x08\x03" + bytes(12) + bytes(784)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("mnist.npz", saved_arrays(), r"NumPy arrays \(\.npz\)"),
        ("digits.npy", saved(np.zeros(3)), r"a NumPy array \(\.npy\)"),
        ("train-images-idx3-ubyte", IDX, "an IDX file"),
        ("train-images-idx3-ubyte.gz", gzip.compress(IDX), "an IDX file"),
        ("train.parquet", b"PAR1...", "a Parquet file"),
        ("images.gz", gzip.compress(IDX)[:20], "not readable: "),
        ("7.png", b"\x89PNG\r\n", "a PNG image"),
        ("digit-recognizer.zip", b"PK\x03\x04", "a damaged zip"),
        ("mnist_train.csv", TRAIN, r"a text file\)\. To fix this: name the files train\.csv and test\.csv"),
    ],
)
def test_other_files_are_named_with_their_format_instead_of_taking_the_sample(name, content, kind, data):
    data.mkdir()
    (data / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"received {re.escape(name)} \({kind}"):
        find(None, data, notebook_inputs=())


def test_notebook_folders_are_searched_last_and_the_newer_one_first(tmp_path, data):
    newer, older = inputs = [tmp_path / "input/competitions", tmp_path / "input/older"]
    with_files(older, train=TRAIN, test=TEST)
    source = find(None, data, inputs)
    assert (source.kind, source.place) == ("kaggle notebook", older)
    with_files(newer, train=TRAIN, test=TEST)
    assert find(None, data, inputs).place == newer
    with_files(data, train=TRAIN, test=TEST)
    assert find(None, data, inputs).place == data


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("name", ["train", "test"])
def test_a_single_file_of_two_is_an_error(is_named, name, data):
    with_files(data, **{name: TRAIN})
    with pytest.raises(InputError, match=rf"expected both train\.csv and test\.csv, received only {name}\.csv"):
        find(data if is_named else None, data)


def test_a_missing_file_is_not_taken_from_the_zip_beside_the_other(data):
    with_files(data, train=TRAIN)
    zip_in(data)
    with pytest.raises(InputError, match="expected both"):
        find(None, data)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere: not found"),
        ("smaple", "built-in sample is called"),
        ("empty", "received an empty folder"),
        ("other", r"received a\.csv \(an empty file\)"),
        ("other/a.csv", r"expected a folder .* received a\.csv \(an empty file\)"),
        ("other.zip", r"expected train\.csv and test\.csv in this zip"),
        ("broken.zip", r"received broken\.zip \(a damaged zip\)"),
    ],
)
def test_a_path_without_the_files_is_an_error(path, message, tmp_path, data):
    with_files(tmp_path / "empty")
    with_files(tmp_path / "other", a=b"")
    kaggle_zip(tmp_path / "other.zip", **{"digits/train": TRAIN})
    (tmp_path / "broken.zip").write_bytes(zip_in(tmp_path / "x").read_bytes()[:-100])
    with pytest.raises(InputError, match=message):
        find(tmp_path / path, data)


def test_the_path_sample_is_the_built_in_sample(data):
    source = find(Path("sample"), data)
    assert (source.kind, source.place) == ("sample", data / "sample")
    assert len(read_train(source.train).pixels) == 1_200
    assert find(None, data, notebook_inputs=()) is None  # only by its name


def test_the_sample_is_written_to_the_given_folder(tmp_path):
    assert sample_source(tmp_path / "elsewhere").test.path == tmp_path / "elsewhere/test.csv"
    assert (tmp_path / "elsewhere/answers.csv").exists()


def test_a_removed_sample_is_written_again(data):
    place = find(Path("sample"), data).place
    shutil.rmtree(place)
    assert find(place, data).kind == "sample"
    assert (place / "train.csv").is_file()
