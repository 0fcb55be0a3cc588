"""A Jupyter notebook that trains a recipe on Kaggle, without internet and without installing anything.

It contains the files of this package that a run imports, each in a cell that writes the file. The same code and recipe
give the same bytes.
"""

import json
from hashlib import sha256
from modulefinder import ModuleFinder
from pathlib import Path, PurePosixPath
from typing import Any

from digit_recognizer import __version__
from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.recipes.toml import describe_models, to_toml
from digit_recognizer.tracking.run_dir import name_from
from digit_recognizer.utils.files import check_target, write_atomically

ENTRIES = ("pipeline", "utils.console")  # the modules that the notebook imports
_FOLDER = Path(__file__).resolve().parents[1]  # of the package
_PACKAGE = _FOLDER.name
_ONLY_FOR_TYPES = [f"{_PACKAGE}.api"]  # imported under TYPE_CHECKING

_HEAD = """\
# Digit Recognizer: {name}

This trains {models} by the recipe `{name}` on the competition's `train.csv` and writes
`/kaggle/working/submission.csv`; plots and weights are in `submissions/`. It needs no internet and installs nothing.

1. *Add Input*: the competition *Digit Recognizer*, unless it is there already.
2. *Run All*, or *Save Version*; then submit `submission.csv` from the output.

Written by `digits notebook` of digit-recognizer {version}; the SHA-256 of the code below begins with {fingerprint}."""

_SETTINGS = '''\
from pathlib import Path

INPUT = Path("/kaggle/input")
WORKING = Path("/kaggle/working")

NAME = "{name}"
RECIPE = """
{recipe}"""'''

_FOLDERS = """\
import sys

sys.path.insert(0, str(WORKING))
for folder in {folders}:
    Path(folder).mkdir(parents=True, exist_ok=True)"""

_RUN = """\
import tomllib

from {package} import pipeline
from {package}.data.sources import NOTEBOOK_INPUTS
from {package}.recipes.recipe import from_record
from {package}.tracking.workspace import Workspace
from {package}.training.run_plan import NewRun
from {package}.utils import console
from {package}.utils.files import read_bytes, write_atomically

places = [INPUT / place.relative_to("/kaggle/input") for place in NOTEBOOK_INPUTS]
data = next((place for place in places if place.is_dir()), None)
if data is None:
    raise FileNotFoundError("The competition's data is missing: Add Input, then the competition Digit Recognizer.")
recipe = from_record(tomllib.loads(RECIPE))
config = pipeline.RunConfig(NewRun(NAME, recipe), data)
result = pipeline.run(config, Workspace(WORKING), console.ConsoleReporter())
submission = read_bytes(result.submission)
write_atomically(WORKING / "submission.csv", submission)"""

_RESULT = """\
from IPython.display import Image, display

if result.validation:
    print(f"validation: loss {result.validation.log_loss:.4f}, accuracy {result.validation.accuracy:.4f}")
for picture in sorted(result.submission.parent.glob("*.png")):
    print(picture.stem)
    display(Image(filename=picture))
print(*submission.decode().splitlines()[:6], sep="\\n")"""

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "kaggle": {  # as in notebooks downloaded from Kaggle
        "accelerator": "none",
        "dataSources": [{"sourceId": 3004, "databundleVersionId": 861823, "sourceType": "competition"}],
        "isGpuEnabled": False,
        "isInternetEnabled": False,
        "language": "python",
        "sourceType": "notebook",
    },
}
_FOLDED = {"_kg_hide-input": True}  # Kaggle collapses the cell


def write_notebook(path: Path, name: str, recipe: Recipe) -> int:
    """Write the notebook of `recipe` and return the number of source files in it.

    Raises InputError for a path that does not end in .ipynb and for a recipe with a teacher, RunError on failure.
    """
    check_target(path, ".ipynb")
    if recipe.teacher:
        raise InputError("teacher: a notebook contains no trained networks. Use a recipe without a teacher.")
    files = sources()
    write_atomically(path, notebook(name, recipe, files))
    return len(files)


def notebook(name: str, recipe: Recipe, files: dict[str, str]) -> bytes:
    """The notebook of `recipe` with the source files `files`, text by path: nbformat 4.5, UTF-8."""
    name = name_from(name)
    fingerprint = sha256(json.dumps(files).encode()).hexdigest()[:12]
    folders = sorted({str(PurePosixPath(_PACKAGE, file).parent) for file in files})
    cells = [
        _markdown(
            "head",
            _HEAD.format(name=name, models=describe_models(recipe), version=__version__, fingerprint=fingerprint),
        ),
        _code("settings", _SETTINGS.format(name=name, recipe=to_toml(recipe))),
        _code("folders", _FOLDERS.format(folders=json.dumps(folders))),
        *(_code(_cell_id(file), f"%%writefile {_PACKAGE}/{file}\n{text}", _FOLDED) for file, text in files.items()),
        _code("run", _RUN.format(package=_PACKAGE)),
        _code("result", _RESULT),
    ]
    document = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def sources() -> dict[str, str]:
    """The text of all files of this package that a run imports, at once or later, by path in the package.

    client_process, which the client starts as a script, is not needed without an upload.
    """
    finder = ModuleFinder(path=[str(_FOLDER.parent)], excludes=_ONLY_FOR_TYPES)
    for module in ENTRIES:
        finder.import_hook(f"{_PACKAGE}.{module}")
    places = [vars(module)["__file__"] for module in finder.modules.values()]
    files = sorted(Path(place) for place in places if place)  # built-in modules have no file
    return {file.relative_to(_FOLDER).as_posix(): file.read_text(encoding="utf-8") for file in files}


def _cell_id(file: str) -> str:
    return "file-" + file.removesuffix(".py").replace("/", "-")  # at most 64 letters, digits, - and _


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(name: str, text: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    cell = {**_markdown(name, text), "cell_type": "code", "metadata": metadata or {}}
    return {**cell, "execution_count": None, "outputs": []}
