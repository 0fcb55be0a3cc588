"""The commands. Each is a thin skin over a function; it imports what it needs when it is called."""

from . import kaggle, looking, predicting  # their commands join the group
from .group import digits, main
from .making import run

__all__ = ["digits", "kaggle", "looking", "main", "predicting", "run"]
