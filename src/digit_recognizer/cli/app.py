"""The command `digits`, its exit codes, and what its commands share."""

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import partial, reduce
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Any

import click

from digit_recognizer import __version__
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.console import console, print_error
from digit_recognizer.utils.signals import TerminationSignal, handle_signals

FILE = click.Path(path_type=Path)

# Names of options and commands in earlier versions, which still work.
_OLD_NAMES = {
    "like": "from-run",
    "check": "verify",
    "again": "force",
    "full": "refit",
    "fit": "resize",
    "skip-bad": "rejects",
    "wrong": "errors",
    "engine": "runtime",
    "cluster": "dask-scheduler",
    "bundle": "notebook",
    "train": "run",  # was never a name, but many users type it
}


def _set_workspace(ctx: click.Context, option: click.Parameter, folder: Path) -> None:
    ctx.obj.workspace = Workspace(folder)


def _set_console(ctx: click.Context, option: click.Parameter, as_json: bool) -> bool:
    console.stderr = as_json  # stdout has the JSON alone, for pipes
    return as_json


JSON = click.option(
    "--json", "as_json", is_flag=True, callback=_set_console, help="Print one JSON object; messages go to stderr."
)
workspace_option = click.option(
    "--workspace",
    type=FILE,
    envvar="DIGITS_WORKSPACE",
    default=Path(),
    metavar="FOLDER",
    callback=_set_workspace,
    expose_value=False,
    help="Folder that contains data/ and submissions/. [DIGITS_WORKSPACE, or the current folder]",
)


@click.group()
@click.version_option(__version__, prog_name="digits")
@workspace_option
def digits() -> None:
    """Kaggle's Digit Recognizer, from train.csv to a scored submission."""


def add_options(*decorators: Callable[..., Any]) -> Callable[..., Any]:
    """One decorator that adds several options to a command."""
    return lambda command: reduce(lambda decorated, option: option(decorated), reversed(decorators), command)


def current_workspace() -> Workspace:
    """The workspace of the running command, by default the current folder."""
    context = click.get_current_context(silent=True)
    return context.obj.workspace if context else Workspace()


def command_line(words: str, workspace: Workspace | None = None) -> str:
    """A command of `digits` to be copied, in `workspace`, by default that of the running command."""
    folder, words = (workspace or current_workspace()).folder, words.removeprefix("digits ")
    return f"digits {words}" if folder == Path() else f"digits --workspace {quote(str(folder))} {words}"


def with_options(text: str, workspace: Workspace | None = None) -> str:
    """`text` for the command line: "use `data`" becomes "use --data", and commands in backticks get the workspace."""
    commands = [digits, *digits.commands.values()]
    options = [option for command in commands for option in command.params if isinstance(option, click.Option)]
    words = {"source": "INPUT", **{option.name: option.opts[-1] for option in options}}
    text = re.sub(r"`([a-z_]+)`", lambda match: words.get(match[1], match[0]), text)
    return re.sub(r"`digits ([^`]+)`", lambda match: f"`{command_line(match[1], workspace)}`", text)


def print_json(record: Any) -> None:
    """Print a record as one line of JSON: dataclasses as objects, paths as text."""
    click.echo(json.dumps(record, default=lambda value: vars(value) if is_dataclass(value) else str(value)))


def main(arguments: list[str] | None = None, command: click.Command = digits, program: str = "digits") -> None:
    """Run a command and exit with its code: 0; 1 after a failure at run time; 2 for bad input; 130 after Ctrl-C; 143
    after SIGTERM or SIGHUP.
    """
    _open_standard_streams()
    os.environ["MPLBACKEND"] = "agg"  # no windows; Keras imports Matplotlib, which refuses unknown names
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may contain what the terminal cannot show
    state = SimpleNamespace(workspace=Workspace())
    call = partial(
        command.main,
        arguments,
        program,
        standalone_mode=False,
        help_option_names=["-h", "--help"],
        token_normalize_func=lambda name: _OLD_NAMES.get(name, name),
        obj=state,
    )
    sys.exit(_run(call, state))


def _open_standard_streams() -> None:
    """Open the null device for closed standard streams, as other files would get their descriptors."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115


def _run(command: Callable[[], Any], state: SimpleNamespace) -> int:
    try:
        with handle_signals():
            code = command()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (InputError, RunError) as error:
        print_error(f"Error: {with_options(str(error), state.workspace)}")
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # as in `digits score ... | head -1`
        _discard_output()
        return 1
    except OSError as error:  # a full disk
        _print_last(f"Error: {error}")
        return 1
    except TerminationSignal:
        _print_last("Terminated.")
        return 143
    except (KeyboardInterrupt, click.Abort):
        _print_last("Interrupted.")
        return 130
    except Exception as error:  # a fault of this program
        with tempfile.NamedTemporaryFile("w", prefix="digits-error-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
        _print_last(
            f"Error: unexpected {type(error).__name__}: {error}. The details are in {file.name}; please report them."
        )
        return 1
    return code if isinstance(code, int) else 0


def _print_last(text: str) -> None:
    """Print to stderr, unless the terminal is closed."""
    try:
        click.echo(text, err=True)
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Discard what Python would flush when it exits."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
