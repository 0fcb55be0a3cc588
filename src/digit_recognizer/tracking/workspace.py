"""The working folder, with the data and the runs."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from digit_recognizer.errors import InputError
from digit_recognizer.tracking.ledger import Ledger, open_ledger
from digit_recognizer.tracking.run_record import short_name
from digit_recognizer.utils.reporter import SILENT, Reporter


@dataclass(frozen=True)
class Workspace:
    """A folder with `data/` and `submissions/`; the current folder by default.

    Example: `workspace = dr.Workspace("elsewhere"); run = dr.train(data, "quick", workspace=workspace)`
    """

    folder: Path = Path()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder).expanduser())

    @property
    def data(self) -> Path:
        """The default folder of Kaggle's files."""
        return self.folder / "data"

    @property
    def submissions(self) -> Path:
        """The folder of the run folders and the ledger."""
        return self.folder / "submissions"

    @property
    def ledger_file(self) -> Path:
        return self.submissions / "ledger.sqlite"

    @property
    def sweeps(self) -> Path:
        """The folder of the journals of sweeps."""
        return self.submissions / "sweeps"

    @property
    def newest_submission(self) -> Path:
        """A copy of the submission of the run that finished last."""
        return self.submissions / "submission.csv"

    def relative(self, path: Path) -> str:
        """Return `path` relative to this folder if within it, else absolute unless this is the current folder."""
        if path.is_relative_to(self.folder):
            return str(path.relative_to(self.folder))
        return str(path if self.folder == Path() else path.resolve())

    def run_folder_names(self) -> set[str]:
        """The names of the run folders."""
        return {path.name for path in self.submissions.glob("*/") if short_name(path.name) != path.name}

    def missing_ledger(self) -> str:
        """Return a warning if there are run folders but no ledger, or an empty one; else an empty string."""
        file = self.ledger_file
        if file.exists() and file.stat().st_size > 0:
            return ""
        n_folders = len(self.run_folder_names())
        warning = (
            f"{file} is missing or empty, but there are {n_folders} run folders. A new ledger does not know these runs "
            "and their uploads."
        )
        return warning if n_folders else ""

    def open_ledger(self, reporter: Reporter = SILENT) -> AbstractContextManager[Ledger]:
        """Open the ledger, which is created if missing. Raises RunError if it cannot be used."""
        if warning := self.missing_ledger():
            reporter.warning(warning)
        return open_ledger(self.ledger_file)

    def existing_ledger(self) -> AbstractContextManager[Ledger]:
        """Open an existing ledger. Raises InputError if there is none, and RunError if it cannot be used."""
        if warning := self.missing_ledger():
            raise InputError(f"{warning} Restore a copy of it, if there is one.")
        if not self.ledger_file.exists():
            raise InputError(
                f"{self.submissions.absolute()}: no ledger there. Train with `digits run`, or name another workspace."
            )
        return open_ledger(self.ledger_file)
