"""The command `digits`, how it ends, and what its commands share."""

import json
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from digit_recognizer import __version__
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.signals import TerminationSignal, handle_signals

if TYPE_CHECKING:
    from digit_recognizer.tracking.workspace import Workspace

FILE = click.Path(path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object; messages go to stderr.")
WORKSPACE = "DIGITS_WORKSPACE"

# Names of earlier versions, which still work.
_OLD_OPTIONS = {
    "--like": "--from-run",
    "--check": "--verify",
    "--again": "--force",
    "--full": "--refit",
    "--fit": "--resize",
    "--skip-bad": "--rejects",
    "--wrong": "--errors",
    "--engine": "--runtime",
    "--cluster": "--dask-scheduler",
}
_OLD_COMMANDS = {"bundle": "notebook", "train": "run"}  # `train` is no old name, but what many type


class Command(click.Command):
    """A command that also takes the options' earlier names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*map(_current_option, args[:end]), *args[end:]])


class Group(click.Group):
    """The group of commands, which also takes their earlier names."""

    command_class = Command

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _OLD_COMMANDS.get(cmd_name, cmd_name))


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="digits")
@click.option(
    "--workspace",
    type=FILE,
    envvar=WORKSPACE,
    default=Path(),
    metavar="FOLDER",
    help=f"The folder with data/ and submissions/. [the current one, or {WORKSPACE}]",
)
@click.pass_context
def digits(ctx: click.Context, workspace: Path) -> None:
    """Kaggle's Digit Recognizer, from train.csv to a scored submission."""
    ctx.obj = workspace


def current_workspace() -> "Workspace":
    """The workspace of the running command."""
    from digit_recognizer.tracking.workspace import Workspace

    folder = click.get_current_context().find_root().obj
    return Workspace(Path(os.environ.get(WORKSPACE, "")) if folder is None else folder)


def main(arguments: list[str] | None = None, command: click.Command = digits, program: str = "digits") -> None:
    """Run a command and exit with its code: 0; 1 when something failed at run time; 2 for bad input; 130 after Ctrl-C;
    143 after SIGTERM or SIGHUP.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may contain what the terminal cannot show
    sys.exit(_run(lambda: command.main(arguments, prog_name=program, standalone_mode=False)))


def messages_to_stderr(as_json: bool) -> None:
    """With --json stdout has the JSON alone, fit for a pipe."""
    from digit_recognizer.utils.console import console

    console.stderr = as_json


def print_json(value: Any) -> None:
    click.echo(json.dumps(value))


def _run(command: Callable[[], Any]) -> int:
    try:
        with handle_signals():
            code = command()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (InputError, RunError) as error:
        from digit_recognizer.cli.reporter import with_options
        from digit_recognizer.utils.console import print_error

        print_error(f"Error: {with_options(str(error))}")
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
    return code if isinstance(code, int) else 0


def _current_option(word: str) -> str:
    name, equals, value = word.partition("=")
    return _OLD_OPTIONS.get(name, name) + equals + value


def _print_last(text: str) -> None:
    """To stderr, while there is one."""
    try:
        click.echo(text, err=True)
        sys.stdout.flush()
    except OSError:  # the terminal is gone
        _discard_output()


def _discard_output() -> None:
    """Discard what is still to be flushed at the exit."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
