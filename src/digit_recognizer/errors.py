"""The errors that a user sees. Their text is printed unchanged: what is wrong, where, and the cure."""


class InputError(Exception):
    """The user's file, option or value is wrong; exit code 2."""


class RunError(Exception):
    """Something failed while running: a disk, a network, Kaggle, a diverging training; exit code 1."""


class DivergedError(RunError):
    """The loss or the weights are NaN or infinite; nothing of that network is kept."""
