"""The networks of a run, the rows each is trained and validated on, and the average of their predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Metrics
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.recipes.recipe import Recipe, network_recipes
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.tracking.run_dir import Predictions

Split = tuple[int | None, np.ndarray, np.ndarray]  # fold, or None without folds; training rows; held-out rows


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """A network to train."""

    name: str  # unique within the run, valid as a file's name
    recipe: Recipe  # with the network's own seed
    fold: int | None  # from 1
    train_rows: np.ndarray  # (n_train,) int: rows of train.csv
    held_out: np.ndarray  # (n_held_out,) int: the rows it is validated on
    predicts_test: bool  # whether its predictions are averaged for the submission


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """A trained network."""

    weights: dict[str, np.ndarray]  # by "layer/weight"
    history: tuple[Epoch, ...]
    held_out_log_p: np.ndarray  # (n_held_out, 10) log-probabilities
    test_log_p: np.ndarray  # (n_test, 10); (0, 10) unless it predicts test.csv
    train: Metrics  # without test-time augmentation
    validation: Metrics | None  # with test-time augmentation; None without held-out rows
    seconds: dict[str, float]  # "train" and "predict" (test.csv)

    @property
    def n_weights(self) -> int:
        return sum(weight.size for weight in self.weights.values())


@dataclass(frozen=True, eq=False)
class EnsemblePredictions(Predictions):
    """The averaged predictions of all networks of a run."""

    histories: tuple[tuple[Epoch, ...], ...]
    n_networks: int  # that predict test.csv
    n_weights: int  # of the networks that predict test.csv
    train: Metrics  # mean over all networks
    seconds: dict[str, float]  # "train" and "predict", summed


def plan_networks(recipe: Recipe, labels: np.ndarray) -> tuple[NetworkSpec, ...]:
    """Returns all networks that `recipe` trains on rows with these (n,) labels.

    All seeds and members share the splits, so that their out-of-fold predictions can be averaged. Raises InputError
    when a digit has too few rows to split.
    """
    splits = _splits(recipe, labels)
    kinds = network_recipes(recipe)
    networks = []
    for seed in range(recipe.seed, recipe.seed + recipe.seeds):
        for position, kind in enumerate(kinds, start=1):
            for fold, train_rows, held_out in splits:
                words = [f"{position}-{kind.model}" if len(kinds) > 1 else kind.model, f"seed{seed}"]
                words += [f"fold{fold}"] if fold else ["all"] if recipe.folds else []
                predicts_test = fold is None or not recipe.full
                seeded = replace(kind, seed=seed)
                networks.append(NetworkSpec("-".join(words), seeded, fold, train_rows, held_out, predicts_test))
    return tuple(networks)


def n_networks(recipe: Recipe) -> int:
    """Returns the number of networks of `plan_networks`, which needs labels."""
    n_splits = recipe.folds + recipe.full if recipe.folds else 1
    return recipe.seeds * len(network_recipes(recipe)) * n_splits


def combine(networks: Sequence[NetworkSpec], results: Sequence[NetworkResult]) -> EnsemblePredictions:
    """Average the log-probabilities of a run's networks; a held-out row is predicted only by those that held it out."""
    predicting = [result for network, result in zip(networks, results, strict=True) if network.predicts_test]
    rows, log_p = _out_of_fold(networks, results)
    train = [result.train for result in results]
    return EnsemblePredictions(
        rows,
        log_p,
        average_log_p([result.test_log_p for result in predicting]),
        tuple(result.history for result in results),
        len(predicting),
        sum(result.n_weights for result in predicting),
        Metrics(
            round(mean(one.n for one in train)),
            mean(one.accuracy for one in train),
            mean(one.log_loss for one in train),
        ),
        {part: sum(result.seconds[part] for result in results) for part in ("train", "predict")},
    )


def _out_of_fold(networks: Sequence[NetworkSpec], results: Sequence[NetworkResult]) -> tuple[np.ndarray, np.ndarray]:
    held_out = np.concatenate([network.held_out for network in networks])
    rows, place, count = np.unique(held_out, return_inverse=True, return_counts=True)
    total = np.zeros((len(rows), 10))
    np.add.at(total, place, np.concatenate([result.held_out_log_p for result in results]))
    return rows, average_log_p([total / count[:, np.newaxis]])


def _splits(recipe: Recipe, labels: np.ndarray) -> list[Split]:
    from sklearn.model_selection import StratifiedKFold, train_test_split  # the import takes a second

    rows = np.arange(len(labels))
    all_rows: Split = (None, rows, rows[:0])
    if recipe.folds:
        fewest = int(np.bincount(labels, minlength=10).min())
        if fewest < recipe.folds:
            raise InputError(
                f"{recipe.folds} folds need as many rows of each digit; one has {fewest}. Use fewer folds."
            )
        parts = StratifiedKFold(recipe.folds, shuffle=True, random_state=recipe.seed).split(rows, labels)
        folds: list[Split] = [(fold, train_rows, held_out) for fold, (train_rows, held_out) in enumerate(parts, 1)]
        return [*folds, all_rows] if recipe.full else folds
    if recipe.full or recipe.validation == 0:
        return [all_rows]
    try:
        train_rows, held_out = train_test_split(
            rows, test_size=recipe.validation, stratify=labels, random_state=recipe.seed
        )
    except ValueError as error:
        raise InputError(
            f"validation {recipe.validation:g}: {error}. Choose another fraction, or 0 for none."
        ) from error
    return [(None, train_rows, np.sort(held_out))]
