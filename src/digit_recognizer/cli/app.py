"""The command `digits`, how it ends, and what its commands share."""

import json
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from digit_recognizer import __version__
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.signals import TerminationSignal, handle_signals

FILE = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="digits")
def digits() -> None:
    """Kaggle's Digit Recognizer, from train.csv to a scored submission."""


def main(arguments: list[str] | None = None, command: click.Command = digits, program: str = "digits") -> None:
    """Run a command and leave with its exit code: 0, 1 what failed at run time, 2 bad input, 130 Ctrl-C,
    143 SIGTERM or SIGHUP.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what the terminal cannot show
    sys.exit(_run(lambda: command.main(arguments, prog_name=program, standalone_mode=False)))


def _run(command: Callable[[], Any]) -> int:
    try:
        with handle_signals():
            code = command()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (InputError, RunError) as error:
        from digit_recognizer.utils.console import complain

        complain(f"Error: {error}")
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # as in `digits score ... | head -1`
        _go_silent()
        return 1
    except OSError as error:  # a full disk
        _say_last(f"Error: {error}")
        return 1
    except TerminationSignal:
        _say_last("Terminated.")
        return 143
    except (KeyboardInterrupt, click.Abort):
        _say_last("Interrupted.")
        return 130
    return code if isinstance(code, int) else 0


def _say_last(text: str) -> None:
    """To stderr, while there is one."""
    try:
        click.echo(text, err=True)
        sys.stdout.flush()
    except OSError:  # the terminal is gone
        _go_silent()


def _go_silent() -> None:
    """Let nobody hear what is still to be flushed at the exit."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_news_to_stderr(as_json: bool) -> None:
    """With --json stdout holds the JSON alone, fit for a pipe."""
    from digit_recognizer.utils.console import console

    console.stderr = as_json


def print_json(value: Any) -> None:
    click.echo(json.dumps(value))
