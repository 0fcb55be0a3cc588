"""The networks of a run, the rows on which each is trained and validated, and their averaged predictions."""

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

Split = tuple[int | None, np.ndarray, np.ndarray]  # fold, rows to train on, held-out rows


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """A network to train."""

    name: str  # unique within the run, fit for a file's name
    recipe: Recipe  # with the network's own seed
    fold: int | None  # from 1
    train_rows: np.ndarray  # (n_train,) int: rows of train.csv
    held_out: np.ndarray  # (n_held_out,) int: the rows it is validated on
    predicts_test: bool  # whether the submission averages its predictions


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """A trained network."""

    weights: dict[str, np.ndarray]  # by "layer/weight"
    history: tuple[Epoch, ...]
    held_out_log_p: np.ndarray  # (n_held_out, 10) log-probabilities
    test_log_p: np.ndarray  # (n_test, 10); (0, 10) unless it predicts test.csv
    train: Metrics  # without test-time augmentation
    validation: Metrics | None  # with it; None without held-out rows
    seconds: dict[str, float]  # "train" and "predict" (test.csv)

    @property
    def n_weights(self) -> int:
        return sum(weight.size for weight in self.weights.values())


@dataclass(frozen=True, eq=False)
class EnsemblePredictions(Predictions):
    """The averaged predictions of all networks of a run."""

    histories: tuple[tuple[Epoch, ...], ...]
    n_networks: int  # that predict test.csv
    n_weights: int  # of those
    train: Metrics  # mean over all networks
    seconds: dict[str, float]  # "train" and "predict", summed


def plan_networks(recipe: Recipe, labels: np.ndarray) -> tuple[NetworkSpec, ...]:
    """All networks that `recipe` trains on rows with these (n,) labels.

    All seeds and members share the splits, so that their out-of-fold predictions can be averaged. Raises InputError
    when there are too few rows of a digit to split.
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
                own = replace(kind, seed=seed)
                networks.append(NetworkSpec("-".join(words), own, fold, train_rows, held_out, predicts_test))
    return tuple(networks)


def n_networks(recipe: Recipe) -> int:
    """The number of networks of `plan_networks`."""
    n_splits = recipe.folds + recipe.full if recipe.folds else 1
    return recipe.seeds * len(network_recipes(recipe)) * n_splits


def combine(networks: Sequence[NetworkSpec], results: Sequence[NetworkResult]) -> EnsemblePredictions:
    """Average the log-probabilities of a run's networks; of a held-out row only those of networks that held it out."""
    predicting = [result for network, result in zip(networks, results, strict=True) if network.predicts_test]
    rows, log_p = _out_of_fold(networks, results)
    n, accuracy, log_loss = (
        mean(getattr(result.train, part) for result in results) for part in ("n", "accuracy", "log_loss")
    )
    return EnsemblePredictions(
        rows,
        log_p,
        average_log_p([result.test_log_p for result in predicting]),
        tuple(result.history for result in results),
        len(predicting),
        sum(result.n_weights for result in predicting),
        Metrics(round(n), accuracy, log_loss),
        {part: sum(result.seconds[part] for result in results) for part in ("train", "predict")},
    )


def _out_of_fold(networks: Sequence[NetworkSpec], results: Sequence[NetworkResult]) -> tuple[np.ndarray, np.ndarray]:
    held_out = np.concatenate([network.held_out for network in networks])
    rows, place, count = np.unique(held_out, return_inverse=True, return_counts=True)
    total = np.zeros((len(rows), 10))
    np.add.at(total, place, np.concatenate([result.held_out_log_p for result in results]))
    return rows, average_log_p([total / count[:, np.newaxis]])


def _splits(recipe: Recipe, labels: np.ndarray) -> list[Split]:
    """(fold, fitted rows, held-out rows) of each split; the fold is None outside cross-validation."""
    from sklearn.model_selection import StratifiedKFold, train_test_split  # which takes a second to import

    rows = np.arange(len(labels))
    everything: Split = (None, rows, rows[:0])
    if recipe.folds:
        fewest = int(np.bincount(labels, minlength=10).min())
        if fewest < recipe.folds:
            raise InputError(
                f"{recipe.folds} folds need as many rows of each digit; one has {fewest}. Use fewer folds."
            )
        cut = StratifiedKFold(recipe.folds, shuffle=True, random_state=recipe.seed).split(rows, labels)
        folds: list[Split] = [(fold, fitted, held_out) for fold, (fitted, held_out) in enumerate(cut, start=1)]
        return [*folds, everything] if recipe.full else folds
    if recipe.full or recipe.validation == 0:
        return [everything]
    try:
        fitted, held_out = train_test_split(
            rows, test_size=recipe.validation, stratify=labels, random_state=recipe.seed
        )
    except ValueError as error:
        raise InputError(
            f"a validation part of {recipe.validation:g} of {len(rows):,} rows does not hold each digit on both sides. "
            "Choose another part, or 0 to hold out none."
        ) from error
    return [(None, fitted, np.sort(held_out))]
