import gzip
import shutil
from pathlib import Path

import pytest

from digit_recognizer.data.csv_reader import read_test, read_train
from digit_recognizer.data.sources import ZIP, find, sample_source
from digit_recognizer.errors import InputError
from kaggle_csv import kaggle_test, kaggle_train, kaggle_zip

TRAIN, TEST = kaggle_train(), kaggle_test()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def with_files(folder: str, **files: bytes) -> Path:
    """Make a folder with `train=...` as train.csv and so on."""
    path = Path(folder)
    path.mkdir(parents=True)
    for name, data in files.items():
        (path / f"{name}.csv").write_bytes(data)
    return path


def zip_in(folder: str, name: str = ZIP) -> Path:
    Path(folder).mkdir(exist_ok=True)
    return kaggle_zip(Path(folder) / name, train=TRAIN, test=TEST)


def readable(source) -> bool:
    return len(read_train(source.train).pixels) == len(read_test(source.test).pixels) == 20


def test_nothing_anywhere_is_none():
    assert find(None, notebook_inputs=()) is None


def test_a_folder_that_is_named_is_taken():
    source = find(with_files("mine", train=TRAIN, test=TEST))
    assert (source.kind, source.place) == ("folder", Path("mine"))
    assert source.describe() == "mine (folder)"
    assert readable(source)


def test_gzipped_files_are_taken_and_plain_ones_first():
    folder = with_files("mine", train=TRAIN, test=TEST)
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    fingerprint = read_train(find(folder).train).fingerprint
    (folder / "train.csv").unlink()
    source = find(folder)
    assert (source.train.path.name, source.test.path.name) == ("train.csv.gz", "test.csv")
    assert readable(source)
    assert read_train(source.train).fingerprint == fingerprint


@pytest.mark.parametrize("named", ["mine", "mine/digit-recognizer.zip"])
def test_kaggles_zip_is_taken_by_its_name_or_its_folders(named):
    path = zip_in("mine")
    source = find(Path(named))
    assert (source.kind, source.place) == ("zip", path)
    assert readable(source)


def test_a_zip_of_another_name_is_taken_when_named():
    assert readable(find(zip_in("mine", "digit-recognizer (1).zip")))


def test_unpacked_files_come_before_the_zip_beside_them():
    with_files("mine", train=TRAIN, test=TEST)
    zip_in("mine")
    assert find(Path("mine")).kind == "folder"


def test_without_a_path_data_is_taken():
    with_files("data", train=TRAIN, test=TEST)
    assert find(None).place == Path("data")


def test_without_a_path_the_zip_in_data_is_taken():
    assert find(None, notebook_inputs=[]) is None
    assert zip_in("data") == find(None).place


def test_a_data_folder_with_other_files_is_passed_over():
    with_files("data", README=b"")
    assert find(None, notebook_inputs=()) is None


def test_kaggles_notebook_folders_come_last_and_the_newer_first():
    inputs = [Path("input/competitions"), Path("input/older")]
    with_files("input/older", train=TRAIN, test=TEST)
    source = find(None, inputs)
    assert (source.kind, source.place) == ("kaggle notebook", inputs[1])
    with_files("input/competitions", train=TRAIN, test=TEST)
    assert find(None, inputs).place == inputs[0]
    with_files("data", train=TRAIN, test=TEST)
    assert find(None, inputs).place == Path("data")


@pytest.mark.parametrize("path", [None, Path("data")])
@pytest.mark.parametrize("name", ["train", "test"])
def test_half_a_set_is_an_error_that_names_both_halves(path, name):
    with_files("data", **{name: TRAIN})
    with pytest.raises(InputError, match=rf"expected both train\.csv and test\.csv, received only {name}\.csv"):
        find(path)


def test_half_a_set_is_not_made_whole_from_the_zip_beside_it():
    with_files("data", train=TRAIN)
    zip_in("data")
    with pytest.raises(InputError, match=r"or remove this one to use digit-recognizer\.zip"):
        find(None)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere: not found"),
        ("empty", "received nothing"),
        ("other", r"received 'a\.csv', 'b\.csv', 'c\.csv', 'd\.csv', 'e\.csv' and 1 more"),
        ("other/a.csv", "expected a folder or a zip, received another file"),
        ("other.zip", r"expected train\.csv and test\.csv in this zip, received 'digits/train\.csv'"),
        ("broken.zip", "expected a folder or a zip"),
    ],
)
def test_a_path_without_the_files_is_an_error_that_says_what_is_there(path, message):
    with_files("empty")
    with_files("other", a=b"", b=b"", c=b"", d=b"", e=b"", f=b"")
    kaggle_zip(Path("other.zip"), **{"digits/train": TRAIN})
    Path("broken.zip").write_bytes(zip_in("x").read_bytes()[:-100])
    with pytest.raises(InputError, match=message):
        find(Path(path))


def test_the_word_sample_is_the_built_in_competition():
    source = find(Path("sample"))
    assert (source.kind, source.place) == ("sample", Path("data/sample"))
    assert len(read_train(source.train).pixels) == 1_200
    assert find(None, notebook_inputs=()) is None  # it is taken only when asked for


def test_the_sample_is_written_where_asked():
    assert sample_source(Path("elsewhere")).test.path == Path("elsewhere/test.csv")
    assert Path("elsewhere/answers.csv").exists()


def test_the_sample_of_a_run_is_written_again_when_it_is_gone():
    place = find(Path("sample")).place
    shutil.rmtree(place)
    assert find(place).kind == "sample"
    assert (place / "train.csv").is_file()
