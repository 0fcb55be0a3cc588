"""The folder one works in: where data is looked for and runs are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from digit_recognizer.errors import InputError
from digit_recognizer.tracking.ledger import Ledger, open_ledger
from digit_recognizer.tracking.run_record import short_name
from digit_recognizer.utils.reporter import SILENT, Reporter


@dataclass(frozen=True)
class Workspace:
    """A folder with `data/` and `submissions/`; the current folder by default. Nothing else is written to."""

    folder: Path = Path()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder).expanduser())

    @property
    def data(self) -> Path:
        """Where Kaggle's files are looked for."""
        return self.folder / "data"

    @property
    def submissions(self) -> Path:
        """Where the run folders lie."""
        return self.folder / "submissions"

    @property
    def ledger_file(self) -> Path:
        return self.submissions / "ledger.sqlite"

    @property
    def sweeps(self) -> Path:
        """Where the journals of sweeps lie."""
        return self.submissions / "sweeps"

    @property
    def newest_submission(self) -> Path:
        """The submission of the run that finished last."""
        return self.submissions / "submission.csv"

    def relative(self, path: Path) -> str:
        """`path` relative to this folder if within it; otherwise absolute, unless this is the current folder."""
        if path.is_relative_to(self.folder):
            return str(path.relative_to(self.folder))
        return str(path if self.folder == Path() else path.resolve())

    def run_folder_names(self) -> set[str]:
        """The names of the run folders."""
        return {path.name for path in self.submissions.glob("*/") if short_name(path.name) != path.name}

    def missing_ledger(self) -> str:
        """A warning when there are run folders and no ledger, or an empty one; otherwise an empty string."""
        file = self.ledger_file
        is_new = not file.exists() or file.stat().st_size == 0
        folders = self.run_folder_names() if is_new else ()
        if not folders:
            return ""
        return (
            f"{file} is missing or empty, but there are {len(folders)} run folders. A new ledger does not know them, "
            "nor what was uploaded; Kaggle's list does."
        )

    @contextmanager
    def open_ledger(self, reporter: Reporter = SILENT) -> Iterator[Ledger]:
        """The ledger, made if need be. Raises RunError when it cannot be used."""
        if warning := self.missing_ledger():
            reporter.warning(warning)
        with open_ledger(self.ledger_file) as ledger:
            yield ledger

    @contextmanager
    def existing_ledger(self) -> Iterator[Ledger]:
        """The ledger. Raises InputError when there is none, RunError when it cannot be used; nothing is written."""
        if warning := self.missing_ledger():
            raise InputError(f"{warning} Put a copy of it back, if there is one.")
        if not self.ledger_file.exists():
            raise InputError(
                f"{self.submissions.absolute()}: no ledger there, as nothing was trained there. "
                "`digits run` makes a run; `workspace` names another folder."
            )
        with open_ledger(self.ledger_file) as ledger:
            yield ledger
