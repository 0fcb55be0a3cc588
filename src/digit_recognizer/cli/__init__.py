"""The commands. Each is a thin layer over a function; it imports what it needs when it is called."""

from digit_recognizer.cli import competition, doctor, inference, runs, zoo
from digit_recognizer.cli.app import digits, main, workspace_option
from digit_recognizer.cli.train import run

__all__ = ["competition", "digits", "doctor", "inference", "main", "run", "runs", "workspace_option", "zoo"]
