"""The networks of a run: on which rows each is trained and judged, and what they say together.

Comes in: a recipe and labels. Goes out: Members and, of their Outcomes, out-of-fold and test log-probabilities. Refuses
to know Keras, files, answers and the terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.prediction import Metrics, average_log_p
from digit_recognizer.recipes.recipe import Recipe, network_recipes
from digit_recognizer.training.state import Epoch

Split = tuple[int | None, np.ndarray, np.ndarray]  # fold, rows to train on, rows to judge on


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """One network to train: by `recipe` with its own seed, on the rows `fitted` of train.csv, judged on `held_out`."""

    name: str  # unique within the run, fit for a file's name
    recipe: Recipe
    fold: int | None  # from 1
    train_rows: np.ndarray  # (n_fitted,) int
    held_out: np.ndarray  # (n_held_out,) int
    predicts_test: bool  # whether it has a voice in the submission


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """What training a member leaves."""

    weights: dict[str, np.ndarray]  # by "layer/weight"
    history: tuple[Epoch, ...]
    held_out_log_p: np.ndarray  # (n_held_out, 10) log-probabilities
    test_log_p: np.ndarray  # (n_test, 10); (0, 10) for a member without a voice in the submission
    metrics: dict[
        str, Metrics
    ]  # "train", without test-time augmentation, and, with it, "validation" if rows are held out
    seconds: dict[str, float]  # "train" and "predict" (test.csv)

    @property
    def n_weights(self) -> int:
        return sum(weight.size for weight in self.weights.values())


@dataclass(frozen=True, eq=False)
class EnsemblePredictions:
    """What all networks of a run say together."""

    rows: np.ndarray  # (n,) int, ascending: the rows of train.csv that were held out
    log_p: np.ndarray  # (n, 10) log-probabilities, of each row by the networks that never saw it
    test_log_p: np.ndarray  # (n_test, 10)
    histories: tuple[tuple[Epoch, ...], ...]
    n_networks: int  # with a voice in the submission
    n_weights: int  # of those
    train_fit: Metrics  # mean over all networks
    seconds: dict[str, float]  # "train" and "predict", summed


def plan_networks(recipe: Recipe, labels: np.ndarray) -> tuple[NetworkSpec, ...]:
    """All networks that `recipe` trains on rows with these (n,) labels.

    All seeds and members share the splits, so that their out-of-fold probabilities can be averaged. Raises
    InputError when there are too few rows of a digit to split.
    """
    splits = _splits(recipe, labels)
    own = network_recipes(recipe)
    members = []
    for seed in range(recipe.seed, recipe.seed + recipe.seeds):
        for position, network in enumerate(own, start=1):
            for fold, fitted, held_out in splits:
                words = [f"{position}-{network.model}" if len(own) > 1 else network.model, f"seed{seed}"]
                words += [f"fold{fold}"] if fold else ["all"] if recipe.folds else []
                labels_test = fold is None or not recipe.full
                single = replace(network, seed=seed)
                members.append(NetworkSpec("-".join(words), single, fold, fitted, held_out, labels_test))
    return tuple(members)


def n_networks(recipe: Recipe) -> int:
    """How many networks `plan` has."""
    n_splits = recipe.folds + recipe.full if recipe.folds else 1
    return recipe.seeds * len(network_recipes(recipe)) * n_splits


def combine(members: Sequence[NetworkSpec], outcomes: Sequence[NetworkResult]) -> EnsemblePredictions:
    """Join the outcomes of a run's members: log-probabilities are averaged, for each row over who may judge it."""
    voices = [outcome for member, outcome in zip(members, outcomes, strict=True) if member.predicts_test]
    rows, log_p = _out_of_fold(members, outcomes)
    fits = [outcome.metrics["train"] for outcome in outcomes]
    n, accuracy, loss, error = (mean(getattr(fit, part) for fit in fits) for part in Metrics.__dataclass_fields__)
    return EnsemblePredictions(
        rows,
        log_p,
        average_log_p([outcome.test_log_p for outcome in voices]),
        tuple(outcome.history for outcome in outcomes),
        len(voices),
        sum(outcome.n_weights for outcome in voices),
        Metrics(round(n), accuracy, loss, error),
        {part: sum(outcome.seconds[part] for outcome in outcomes) for part in ("train", "predict")},
    )


def _out_of_fold(members: Sequence[NetworkSpec], outcomes: Sequence[NetworkResult]) -> tuple[np.ndarray, np.ndarray]:
    held_out = np.concatenate([member.held_out for member in members])
    rows, place, count = np.unique(held_out, return_inverse=True, return_counts=True)
    total = np.zeros((len(rows), 10))
    np.add.at(total, place, np.concatenate([outcome.held_out_log_p for outcome in outcomes]))
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
