"""Errors for the user. The message states the cause, the location and the remedy."""


class InputError(Exception):
    """A file, option or value of the user is invalid; exit code 2."""


class RunError(Exception):
    """A failure at run time, such as a full disk, a lost connection or a diverging training; exit code 1."""


class DivergedError(RunError):
    """The loss or the weights are NaN or infinite; the network is not saved."""
