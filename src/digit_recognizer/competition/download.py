"""The data that --data, or its absence, means: found, or downloaded where there are credentials, and told."""

from pathlib import Path

from digit_recognizer.competition import api
from digit_recognizer.competition.client import find_credentials
from digit_recognizer.data import sources
from digit_recognizer.errors import RunError
from digit_recognizer.utils.console import say, waiting


def find_or_download(path: Path | None) -> sources.Source:
    """The data that --data, or its absence, means, told in one line; downloads it where there are credentials."""
    source = sources.find(path)
    if source is None and find_credentials():
        try:
            download_data(sources.DATA)
        except RunError as error:
            raise RunError(f"{error} To go on without Kaggle, on the built-in sample: --data sample.") from error
        source = sources.find(None)
    if source is None:
        source = sources.sample_source()
    how_to_get = " For Kaggle's files: `digits download`, or put them into data/." if source.kind == "sample" else ""
    say(f"Data: {source.describe()}.{how_to_get}")
    return source


def download_data(folder: Path) -> None:
    """Fetch the competition's three files from Kaggle into `folder`; raises RunError when Kaggle refuses."""
    with waiting() as tell:
        api.download(folder, tell)
    say(f"Wrote {', '.join(api.FILES)} to {folder}.")
