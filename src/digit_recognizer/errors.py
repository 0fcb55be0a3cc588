"""Errors for the user. The message states the cause, the location and the remedy."""


class InputError(Exception):
    """Raised for an invalid file, option or value; the commands exit with code 2.

    Example:

        try:
            dr.load_data("nowhere")
        except dr.InputError as error:
            print(error)
    """


class RunError(Exception):
    """Raised on a failure at run time; the commands exit with code 1.

    Causes are a full disk, a lost connection or a diverging training.

    Example:

        try:
            dr.submit("submissions/submission.csv")
        except (dr.InputError, dr.RunError) as error:
            print(error)
    """


class DivergedError(RunError):
    """Raised when the loss or the weights are NaN or infinite; the network is not saved."""
