import numpy as np
import pytest

from digit_recognizer.data.csv_reader import CsvFile, read_test, read_train
from digit_recognizer.data.sample import N_TRAIN, enlarge, write_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def train(folder):
    return read_train(CsvFile(folder / "train.csv"))


@pytest.fixture(scope="module")
def test(folder):
    return read_test(CsvFile(folder / "test.csv"))


def test_1797_images_are_split_with_the_same_share_of_each_digit(train, folder):
    answers = np.loadtxt(folder / "answers.csv", int, delimiter=",", skiprows=1)[:, 1]
    assert len(train.labels) == N_TRAIN
    assert len(answers) == 1797 - N_TRAIN
    in_train, in_test = np.bincount(train.labels) / N_TRAIN, np.bincount(answers) / len(answers)
    np.testing.assert_allclose(in_train, in_test, atol=0.002)


def test_answers_and_sample_submission_have_kaggles_format(test, folder):
    for name in ("answers.csv", "sample_submission.csv"):
        lines = (folder / name).read_bytes().split(b"\n")
        assert lines[0] == b"ImageId,Label"
        assert lines[-1] == b""
        assert [int(line.split(b",")[0]) for line in lines[1:-1]] == list(range(1, len(test.pixels) + 1))
    assert {line[-2:] for line in (folder / "sample_submission.csv").read_bytes().split(b"\n")[1:-1]} == {b",0"}


def test_the_answers_belong_to_the_test_images(train, test, folder):
    answers = np.loadtxt(folder / "answers.csv", int, delimiter=",", skiprows=1)[:, 1]
    a, b = test.pixels.astype(np.float32), train.pixels.astype(np.float32)
    squared_distances = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    nearest = train.labels[squared_distances.argmin(axis=1)]
    assert (nearest == answers).mean() > 0.95


def test_strokes_have_a_margin_of_four_and_use_all_greys(train):
    images = train.pixels.reshape(-1, 28, 28)
    inside = images[:, 4:24, 4:24]
    assert images.sum(dtype=int) == inside.sum(dtype=int)
    assert (images.min(), images.max()) == (0, 255)
    assert 25 < images.mean() < 45  # MNIST has 33


def test_one_lit_pixel_becomes_a_round_spot_at_its_place():
    image = np.zeros((1, 8, 8))
    image[0, 2, 5] = 16
    spot = enlarge(image)[0]
    assert spot.dtype == np.uint8
    assert spot.shape == (28, 28)
    row, column = np.average(np.indices(spot.shape), axis=(1, 2), weights=np.stack([spot] * 2))
    assert row == pytest.approx(4 + 2.5 * 2.5 - 0.5, abs=0.1)  # the centre of pixel 2, 2.5 times enlarged
    assert column == pytest.approx(4 + 2.5 * 5.5 - 0.5, abs=0.1)


def test_writing_again_changes_nothing_and_a_missing_file_is_restored(folder):
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_sample(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    answers = (folder / "answers.csv").read_bytes()
    (folder / "answers.csv").unlink()
    write_sample(folder)
    assert (folder / "answers.csv").read_bytes() == answers
