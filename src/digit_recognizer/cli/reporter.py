"""The commands' reporter, and the names of Python arguments turned into options."""

import re

from digit_recognizer.cli.render import show_result
from digit_recognizer.tracking.run_record import RunResult
from digit_recognizer.utils.console import ConsoleReporter, confirm, print_text

# Arguments that library messages name in backticks, as `data`, and that are options of commands.
_OPTIONS = {
    *(
        "answers",
        "dask_scheduler",
        "data",
        "errors",
        "folds",
        "force",
        "from_run",
        "insecure",
        "name",
        "output",
    ),
    *("rejects", "resume", "run", "runtime", "seed", "sort", "submit", "tls_ca_file", "tls_cert", "tls_key", "verify"),
    *("weights", "workers", "workspace"),
}


def with_options(text: str) -> str:
    """`text` with arguments as options: "name it with `data`" becomes "name it with --data"."""

    def option(match: re.Match[str]) -> str:
        return f"--{match[1].replace('_', '-')}" if match[1] in _OPTIONS else match[0]

    return re.sub(r"`([a-z_]+)`", option, text).replace("`source`", "INPUT")


class CommandReporter(ConsoleReporter):
    """Prints the progress of a command; `resume_options` are those that a resumed run needs again."""

    def __init__(self, resume_options: str = "") -> None:
        self._resume_options = resume_options

    def info(self, text: str) -> None:
        super().info(with_options(text))

    def warning(self, text: str) -> None:
        super().warning(with_options(text))

    def confirm(self, question: str, otherwise: str) -> bool:
        return confirm(with_options(question), with_options(otherwise))

    def on_result(self, result: RunResult) -> None:
        show_result(result)

    def on_stopped(self, run: str) -> None:
        print_text(f"To resume it: digits run --resume {run}{self._resume_options}", style="bold")
