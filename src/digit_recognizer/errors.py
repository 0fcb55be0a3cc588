"""The two ways a command ends badly. Their text is shown as it stands: what, where, and the cure."""


class InputError(Exception):
    """The user's file, option or value is wrong; exit code 2."""


class RunError(Exception):
    """Something failed while running: a disk, a network, Kaggle, a diverging training; exit code 1."""


class DivergedError(RunError):
    """A training or a network came to values that are no numbers, none of which is kept; another recipe may go well."""
