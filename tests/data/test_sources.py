"""Where data is searched for, and which paths are refused."""

import gzip
import shutil
from pathlib import Path

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


def test_a_data_folder_with_other_files_is_ignored(data):
    with_files(data, README=b"")
    assert find(None, data, notebook_inputs=()) is None


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
        ("empty", "received one without them"),
        ("other", "received one without them"),
        ("other/a.csv", "expected a folder or a zip, received another file"),
        ("other.zip", r"expected train\.csv and test\.csv in this zip"),
        ("broken.zip", "expected a folder or a zip"),
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
