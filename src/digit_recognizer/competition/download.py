"""The data of a command: found, or downloaded from Kaggle."""

from pathlib import Path

from digit_recognizer.competition import api
from digit_recognizer.competition.client import find_credentials
from digit_recognizer.data import sources
from digit_recognizer.errors import RunError
from digit_recognizer.utils.reporter import SILENT, Reporter


def find_or_download(path: Path | None, folder: Path, reporter: Reporter = SILENT) -> sources.Source:
    """The data as `sources.find` finds it; else downloaded to `folder` with credentials, or the sample without.

    Raises InputError as `sources.find`, RunError when Kaggle refuses.
    """
    source = sources.find(path, folder)
    if source is None and find_credentials():
        try:
            download_data(folder, reporter)
        except RunError as error:
            raise RunError(f"{error} To go on without Kaggle, on the built-in sample: `data` sample.") from error
        source = sources.find(None, folder)
    if source is None:
        source = sources.sample_source(folder / "sample")
    cure = f" For Kaggle's files: `digits download`, or put them into {folder}." if source.kind == "sample" else ""
    reporter.info(f"Data: {source.describe()}.{cure}")
    return source


def download_data(folder: Path, reporter: Reporter = SILENT) -> None:
    """Download the competition's three files into `folder`. Raises RunError when Kaggle refuses."""
    with reporter.status() as status:
        api.download(folder, status)
    reporter.info(f"Wrote {', '.join(api.FILES)} to {folder}.")
