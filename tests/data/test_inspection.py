from dataclasses import replace

import numpy as np
import pytest

from digit_recognizer.data.csv_reader import LabelledTable, Table, read_test, read_train
from digit_recognizer.data.inspection import inspect
from digit_recognizer.data.sources import find, sample_source


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    source = sample_source(tmp_path_factory.mktemp("sample"))
    return read_train(source.train), read_test(source.test)


def changed(table: Table, change) -> Table:
    """The table with `change` applied to its (n, 28, 28) images."""
    images = change(table.pixels.reshape(-1, 28, 28).copy())
    return replace(table, pixels=np.ascontiguousarray(images).reshape(-1, 784))


def without_images(images: np.ndarray) -> np.ndarray:
    images[[3, 5]] = 0
    return images


ODD = {
    "inverted": (lambda images: 255 - images, ["dark ink on white"]),
    "transposed": (lambda images: images.transpose(0, 2, 1), ["transposed or rotated"]),
    "turned": (lambda images: np.rot90(images, axes=(1, 2)), ["transposed or rotated"]),
    "inverted and transposed": (
        lambda images: 255 - images.transpose(0, 2, 1),
        ["dark ink on white", "transposed or rotated"],
    ),
    "scaled to 0..1": (lambda images: images // 255, ["scaled 0 to 1"]),
    "scaled to 0..16": (lambda images: images // 16, ["scaled 0 to 16"]),
    "two images empty": (without_images, ["2 images are empty"]),
}


def test_the_sample_is_counted_and_gives_no_warning(sample):
    found = inspect(*sample)
    assert (found.n_train, found.n_test) == (1_200, 597)
    assert sum(found.images_per_digit) == 1_200
    assert found.value_range == (0, 255)
    assert found.mean_ink_train == pytest.approx(sample[0].pixels.mean())
    assert found.mean_ink_test == pytest.approx(sample[1].pixels.mean())
    assert (found.n_duplicates, found.n_overlap, found.warnings) == (0, 0, ())


@pytest.mark.parametrize(("change", "messages"), ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", ["train", "test"])
def test_unusual_images_give_warnings_for_their_own_table_only(sample, name, change, messages):
    tables = dict(zip(["train", "test"], sample, strict=True))
    tables[name] = changed(tables[name], change)
    found = [warning for warning in inspect(**tables).warnings if "are duplicates" not in warning]
    assert len(found) == len(messages)
    for warning, message in zip(found, messages, strict=True):
        assert warning.startswith(f"{name}: ")
        assert message in warning


def test_duplicates_within_and_across_tables_are_counted(sample):
    train, test = sample
    mixed = Table(np.concatenate([test.pixels, train.pixels[:7]]), "")
    twice = LabelledTable(np.concatenate([train.pixels, train.pixels[:5]]), "", np.append(train.labels, [0] * 5))
    found = inspect(twice, mixed)
    assert (found.n_duplicates, found.n_overlap) == (5, 7)
    assert [warning[: warning.index(" images")] for warning in found.warnings] == ["train: 5", "test: 7"]


def test_the_shape_of_few_or_empty_images_gives_no_warning():
    labels = np.arange(10, dtype=np.uint8)
    few = LabelledTable(np.full((10, 784), 200, np.uint8), "", labels)
    empty = Table(np.zeros((200, 784), np.uint8), "")
    warnings = inspect(few, empty).warnings
    assert not [warning for warning in warnings if "inverted" in warning or "transposed" in warning]


@pytest.mark.real
def test_the_real_files_give_no_warning_and_one_when_transposed(real_data):
    source = find(real_data, real_data)
    train, test = read_train(source.train), read_test(source.test)
    assert inspect(train, test).warnings == ()
    for tables in [
        (changed(train, lambda images: images.transpose(0, 2, 1)), test),
        (train, changed(test, lambda images: images.transpose(0, 2, 1))),
    ]:
        assert len(inspect(*tables).warnings) == 1
