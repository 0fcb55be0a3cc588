"""The reporter of the commands."""

from digit_recognizer.cli.app import command_line, with_options
from digit_recognizer.cli.render import show_result
from digit_recognizer.tracking.run_record import RunResult
from digit_recognizer.utils.console import ConsoleReporter, print_text


class CommandReporter(ConsoleReporter):
    """Prints the progress of a command; `resume_options` are the options that a resumed run needs again."""

    def __init__(self, resume_options: str = "") -> None:
        self._resume_options = resume_options

    def info(self, text: str) -> None:
        super().info(with_options(text))

    def warning(self, text: str) -> None:
        super().warning(with_options(text))

    def confirm(self, question: str, otherwise: str) -> bool:
        return super().confirm(with_options(question), with_options(otherwise))

    def on_result(self, result: RunResult) -> None:
        show_result(result)

    def on_stopped(self, run: str) -> None:
        resume = command_line(f"run --resume {run}{self._resume_options}")
        print_text(f"To resume it: {resume}", style="bold", wrap=False)
