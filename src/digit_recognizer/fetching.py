"""The data that --data, or its absence, means: found, or downloaded where there are credentials, and told."""

from pathlib import Path

from . import competition, sources
from .errors import RunError
from .kaggle_call import find_credentials
from .terminal import say, waiting


def find_data(path: Path | None) -> sources.Source:
    """The data that --data, or its absence, means, told in one line; downloads it where there are credentials."""
    source = sources.find(path)
    if source is None and find_credentials():
        try:
            download(sources.DATA)
        except RunError as error:
            raise RunError(f"{error} To go on without Kaggle, on the built-in sample: --data sample.") from error
        source = sources.find(None)
    if source is None:
        source = sources.sample_source()
    how_to_get = " For Kaggle's files: `digits download`, or put them into data/." if source.kind == "sample" else ""
    say(f"Data: {source.describe()}.{how_to_get}")
    return source


def download(folder: Path) -> None:
    """Fetch the competition's three files from Kaggle into `folder`; raises RunError when Kaggle refuses."""
    with waiting() as tell:
        competition.download(folder, tell)
    say(f"Wrote {', '.join(competition.FILES)} to {folder}.")
