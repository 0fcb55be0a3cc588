"""A Jupyter notebook that trains a recipe on Kaggle, with internet off and nothing to install.

It carries, as text, the files of this package that a run imports: each is a cell that writes its file. The same code
and recipe give the same bytes.
"""

import ast
import json
from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from digit_recognizer import __version__
from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.recipes.toml import describe_models, to_toml
from digit_recognizer.tracking.run_dir import name_from
from digit_recognizer.utils.files import check_target, write_atomically

ENTRIES = ("utils/console.py", "pipeline.py")  # what the notebook calls
_HERE = Path(__file__).resolve().parents[1]  # the package
_PACKAGE = _HERE.name

_HEAD = """\
# Digit Recognizer: {name}

This trains {models} by the recipe `{name}` on the competition's `train.csv` and writes
`/kaggle/working/submission.csv`. It needs no internet and installs nothing.

1. *Add Input*: the competition *Digit Recognizer*, unless it is there already.
2. *Run All*, or *Save Version*; then submit `submission.csv` from the output.

Made by `digits notebook` of digit-recognizer {version}; the SHA-256 of the code below begins with {fingerprint}."""

_SETTINGS = '''\
from pathlib import Path

INPUT = Path("/kaggle/input")
WORKING = Path("/kaggle/working")

NAME = "{name}"
RECIPE = """
{recipe}"""'''

_PROGRAM = """\
## The program

The files of the package `{package}` that a run needs, as they are; a file comes after those that it imports."""

_FOLDERS = """\
import sys

sys.path.insert(0, str(WORKING))
for folder in {folders}:
    Path(folder).mkdir(parents=True, exist_ok=True)"""

_TRAINING = """\
## The run

All that it leaves lies in `submissions/<time>-{name}/`."""

_RUN = """\
import tomllib

from rich.console import Console

from {package} import pipeline
from {package}.data.sources import NOTEBOOK_INPUTS
from {package}.recipes.recipe import from_record
from {package}.tracking.workspace import Workspace
from {package}.training.run_plan import NewRun
from {package}.utils import console
from {package}.utils.files import read_bytes, write_atomically

console.console = Console(force_jupyter=False, force_terminal=False, highlight=False)  # plain lines, no boxes
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
    "kaggle": {  # as Kaggle writes it into notebooks that one downloads there
        "accelerator": "none",
        "dataSources": [{"sourceId": 3004, "databundleVersionId": 861823, "sourceType": "competition"}],
        "isGpuEnabled": False,
        "isInternetEnabled": False,
        "language": "python",
        "sourceType": "notebook",
    },
}
_FOLDED = {"_kg_hide-input": True}  # Kaggle shows the cell closed, with a button that opens it


def write_notebook(path: Path, name: str, recipe: Recipe) -> int:
    """Write the notebook of `recipe` and return the number of source files in it.

    Raises InputError for a path that does not end in .ipynb, RunError on failure.
    """
    check_target(path, ".ipynb")
    if recipe.teacher:
        raise InputError("teacher: a notebook carries no trained networks to learn from. Use a recipe without.")
    carried = sources()
    write_atomically(path, notebook(name, recipe, carried))
    return len(carried)


def notebook(name: str, recipe: Recipe, carried: dict[str, str]) -> bytes:
    """The notebook of `recipe` with the files `carried`, text by path: JSON in the form nbformat 4.5, UTF-8."""
    name = name_from(name)
    fingerprint = sha256(json.dumps(carried).encode()).hexdigest()[:12]
    folders = sorted({str(PurePosixPath(_PACKAGE, file).parent) for file in carried})
    cells = [
        _markdown(
            "head",
            _HEAD.format(name=name, models=describe_models(recipe), version=__version__, fingerprint=fingerprint),
        ),
        _code("settings", _SETTINGS.format(name=name, recipe=to_toml(recipe))),
        _markdown("program", _PROGRAM.format(package=_PACKAGE)),
        _code("folders", _FOLDERS.format(folders=json.dumps(folders))),
        *(_code(_cell_id(file), f"%%writefile {_PACKAGE}/{file}\n{text}", _FOLDED) for file, text in carried.items()),
        _markdown("training", _TRAINING.format(name=name)),
        _code("run", _RUN.format(package=_PACKAGE)),
        _code("result", _RESULT),
    ]
    whole = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def sources(entries: Sequence[str] = ENTRIES) -> dict[str, str]:
    """The text of `entries` and of all that they import of this package, at once or later, by path in the package.

    A file comes after those that it imports; the `__init__.py` of a folder belongs to each file in it. What is started
    by its path is left out: client_process, which no run needs that uploads nothing.
    """
    seen: set[PurePosixPath] = set()
    return {str(file): _text(file) for entry in entries for file in _with_imports(PurePosixPath(entry), seen)}


def _with_imports(file: PurePosixPath, seen: set[PurePosixPath]) -> Iterator[PurePosixPath]:
    if file not in seen:
        seen.add(file)
        for other in _imports(file):
            yield from _with_imports(other, seen)
        yield file


def _imports(file: PurePosixPath) -> Iterator[PurePosixPath]:
    """The `__init__.py` above `file` and the files of this package that it imports, those within functions last."""
    yield from (folder / "__init__.py" for folder in reversed(file.parents))
    for node in _nodes(ast.parse(_text(file))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == _PACKAGE:
            module = PurePosixPath(*node.module.split(".")[1:])
            for name in (module, *(module / alias.name for alias in node.names)):
                either = (PurePosixPath(f"{name}.py"), name / "__init__.py")
                yield from (path for path in either if (_HERE / path).is_file())


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, breadth-first, without `if TYPE_CHECKING:`, whose imports never happen."""
    pending = deque([tree])
    while pending:
        node = pending.popleft()
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            pending.extend(ast.iter_child_nodes(node))


def _text(file: PurePosixPath) -> str:
    return (_HERE / file).read_text(encoding="utf-8")


def _cell_id(file: str) -> str:
    return "file-" + file.removesuffix(".py").replace("/", "-")  # at most 64 letters, digits, - and _


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(name: str, text: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    cell = {**_markdown(name, text), "cell_type": "code", "metadata": metadata or {}}
    return {**cell, "execution_count": None, "outputs": []}
