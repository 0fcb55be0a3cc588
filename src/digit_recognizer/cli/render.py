"""What a run says on the terminal before and after training."""

from typing import Any

from digit_recognizer.data.inspection import Inspection
from digit_recognizer.utils.console import say, show_table

_PARTS = {"train": "train", "validation": "validation", "score": "test (answers)"}

_HOPELESS = 0.5  # validation accuracy


def show_input(found: Inspection) -> None:
    """The short report on the input that stands before every training."""
    low, high = found.value_range
    say(f"train.csv: {found.n_train:,} images, mean ink {found.mean_ink_train:.1f} of {high}")
    say(f"test.csv:  {found.n_test:,} images, mean ink {found.mean_ink_test:.1f}; pixels from {low} to {high}")
    show_table(["digit", *map(str, range(10))], [["images", *(f"{n:,}" for n in found.images_per_digit)]])
    for warning in found.warnings:
        say(f"Warning: {warning}.", style="yellow")


def show_result(result: dict[str, Any]) -> None:
    """What there is of these: loss, accuracy and error rate of each part, how long it took, where the file is."""
    rows = [
        [name, f"{fit['n']:,}", f"{fit['loss']:.4f}", f"{fit['accuracy']:.4f}", f"{fit['error']:.2%}"]
        for key, name in _PARTS.items()
        if (fit := result.get(key))
    ]
    if rows:
        show_table(["", "images", "loss", "accuracy", "error"], rows)
    if (held_out := result.get("validation")) and held_out["accuracy"] < _HOPELESS:
        say("Warning: most held-out images are wrong; this training came to nothing.", style="yellow")
    seconds = result["seconds"]
    if "read" in seconds:
        of_all = " of several processes together" if seconds["train"] > seconds["total"] else ""
        trained = f"trained in {seconds['train']:.1f} s{of_all}"
        say(f"Read in {seconds['read']:.1f} s, {trained}, {seconds['total']:.1f} s in all.")
    say(f"Wrote {result['submission']}, also as submissions/submission.csv")
