"""The notebook is valid, always the same, carries what it needs, and runs where only Kaggle's folders are."""

import json
import os
import sys
import tomllib
from modulefinder import ModuleFinder
from pathlib import Path

import matplotlib
import nbformat
import pytest
from nbclient import NotebookClient

import digit_recognizer
from digit_recognizer import cli
from digit_recognizer.competition.notebook import notebook, sources, write_notebook
from digit_recognizer.data import submission
from digit_recognizer.data.sample import write_sample
from digit_recognizer.recipes import catalog
from digit_recognizer.recipes import recipe as recipes
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils import console

PACKAGE = Path(digit_recognizer.__file__).parent
RECIPE = catalog.RECIPES["lenet5"]
ENSEMBLE = recipes.change(
    RECIPE, catalog.with_named_members({"members": ["lenet5", {"model": "lenet-28", "batch_norm": False}]})
)

# The first and the last cell of the notebook under test: no name is looked up, no connection is opened ...
OFFLINE = """
import sys

def offline(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise OSError(f"{event}{arguments}: the internet is off")

sys.addaudithook(offline)
"""
# ... and nothing is imported but what the notebook wrote.
LOADED = """
own = {name: module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "digit_recognizer"}
print(sorted(Path(file).relative_to(WORKING / "digit_recognizer").as_posix() for file in own.values()))
assert not {"kaggle", "kagglesdk"} & set(sys.modules)
"""


def made(recipe=RECIPE, name="lenet5"):
    return nbformat.reads(notebook(name, recipe, sources()).decode(), as_version=4)


def written_files(made_notebook):
    """{path: text} of the cells that write a file."""
    heads_and_texts = [
        cell.source.split("\n", 1) for cell in made_notebook.cells if cell.source.startswith("%%writefile")
    ]
    return {head.split()[1]: text for head, text in heads_and_texts}


def settings(made_notebook):
    """The names that the settings cell binds."""
    names = {}
    exec(next(cell.source for cell in made_notebook.cells if cell.id == "settings"), names)
    return names


def test_the_notebook_is_valid_and_as_nbformat_itself_would_write_it():
    read = made()
    nbformat.validate(read)
    assert nbformat.writes(read) + "\n" == notebook("lenet5", RECIPE, sources()).decode()
    assert len({cell.id for cell in read.cells}) == len(read.cells)


def test_the_same_code_and_recipe_give_the_same_bytes_and_others_do_not(tmp_path):
    for path in ("one.ipynb", "two.ipynb"):
        write_notebook(tmp_path / path, "lenet5", RECIPE)
    assert (tmp_path / "one.ipynb").read_bytes() == (tmp_path / "two.ipynb").read_bytes()
    assert notebook("lenet5", ENSEMBLE, sources()) != (tmp_path / "one.ipynb").read_bytes()
    changed = notebook("lenet5", RECIPE, {**sources(), "errors.py": ""})
    heads = [json.loads(data)["cells"][0] for data in (changed, (tmp_path / "one.ipynb").read_bytes())]
    assert heads[0] != heads[1]  # the head tells of which code it is made


def test_exactly_the_files_that_the_pipeline_imports_are_carried_and_they_compile():
    for_type_checkers = ["digit_recognizer.api"]
    finder = ModuleFinder(path=[str(PACKAGE.parent)], excludes=for_type_checkers)
    for module in ("digit_recognizer.pipeline", "digit_recognizer.utils.console"):
        finder.import_hook(module)
    needed = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    files = written_files(made())
    assert {PACKAGE.parent / path for path in files} == needed
    for path, text in files.items():
        assert text == (PACKAGE.parent / path).read_text(encoding="utf-8")
        compile(text, path, "exec")
    assert "digit_recognizer/competition/client_process.py" not in files
    assert not [file for file in files if file.startswith("digit_recognizer/cli")]


def test_a_file_comes_after_those_that_it_imports():
    order = list(sources())
    assert (order[0], order[-1]) == ("__init__.py", "pipeline.py")
    for first, later in (
        ("errors", "utils/files"),
        ("utils/files", "data/csv_reader"),
        ("models/registry", "recipes/recipe"),
        ("training/cross_validation", "training/network"),
    ):
        assert order.index(f"{first}.py") < order.index(f"{later}.py")


@pytest.mark.parametrize("recipe", [RECIPE, ENSEMBLE])
def test_the_settings_are_the_recipe_and_kaggles_folders(recipe):
    found = settings(made(recipe))
    assert (found["INPUT"], found["WORKING"]) == (Path("/kaggle/input"), Path("/kaggle/working"))
    assert recipes.from_record(tomllib.loads(found["RECIPE"])) == recipe


def test_without_the_competitions_data_the_notebook_says_how_to_add_it(tmp_path, monkeypatch):
    monkeypatch.setattr(console, "console", console.console)  # which the cell replaces
    [run] = [cell.source for cell in made().cells if cell.id == "run"]
    with pytest.raises(FileNotFoundError, match="Add Input"):
        exec(run, {**settings(made()), "INPUT": tmp_path})


def test_any_name_is_made_fit_for_the_notebook():
    assert settings(made(name='my "best" \\ recipe'))["NAME"] == "my-best-recipe"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--recipe", "lenet"), "Did you mean lenet5"),
        (("-o", "submission.csv"), "ends in .ipynb"),
        (("--from-run", "last"), "no ledger there"),
    ],
)
def test_what_makes_no_notebook_is_refused_with_exit_code_2(words, message, workspace, capfd):
    file = workspace.folder / "mine.ipynb"
    with pytest.raises(SystemExit) as leave:
        cli.main(["notebook", "-o", str(file), *words])
    assert leave.value.code == 2
    assert message in capfd.readouterr().err
    assert not list(workspace.folder.iterdir())


@pytest.mark.slow
def test_the_notebook_runs_in_kaggles_folders_without_the_package_and_the_internet(tmp_path, workspace, monkeypatch):
    file = workspace.folder / "mine.ipynb"
    with pytest.raises(SystemExit) as leave:
        cli.main(["notebook", "--epochs", "1", "-o", str(file)])
    assert leave.value.code == 0
    kaggle = tmp_path / "kaggle"
    data, working = kaggle / "input/competitions/digit-recognizer", kaggle / "working"
    working.mkdir(parents=True)
    data.mkdir(parents=True)
    sample = workspace.folder / "sample"
    write_sample(sample)
    for name in ("train.csv", "test.csv"):
        (data / name).write_bytes((sample / name).read_bytes())
    read = nbformat.read(file, as_version=4)
    cell = next(cell for cell in read.cells if cell.id == "settings")
    for place in ("input", "working"):
        assert cell.source.count(f'Path("/kaggle/{place}")') == 1
        cell.source = cell.source.replace(f'Path("/kaggle/{place}")', f"Path({str(kaggle / place)!r})")
    read.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    read.cells.append(nbformat.v4.new_code_cell(LOADED))
    before = {path: path.stat().st_mtime_ns for path in tree(kaggle) if working not in (path, *path.parents)}

    execute(read, working, tmp_path / "jupyter", monkeypatch)

    after = {path: path.stat().st_mtime_ns for path in tree(kaggle) if working not in (path, *path.parents)}
    assert after == before
    content = (working / "submission.csv").read_bytes()
    answers = (sample / "answers.csv").read_bytes().splitlines()
    submission.check_upload(content, "submission.csv", len(answers) - 1)
    right = sum(line == answer for line, answer in zip(content.splitlines(), answers, strict=True))
    assert right / len(answers) > 0.3  # of one epoch
    with Workspace(working).existing_ledger() as ledger:
        run = ledger.run("last")
    assert (run.status, run.recipe_name, run.data) == ("done", "lenet5", str(data))
    *_, training, result, loaded = read.cells
    assert "epoch 1/1   train: loss" in printed(training)
    assert "\x1b" not in printed(training)  # a notebook is no terminal
    assert f"accuracy {run.correct / run.n:.4f}" in printed(result)
    assert sum("image/png" in output.get("data", {}) for output in result.outputs) == 4
    assert content.decode().splitlines()[1] in printed(result)
    assert set(json.loads(printed(loaded).replace("'", '"'))) <= set(sources())


def tree(folder):
    return [folder, *folder.rglob("*")]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def execute(made_notebook, working, jupyter, monkeypatch):
    """Run all cells in a kernel of this interpreter, which sees neither the package nor any setting of Kaggle's."""
    kernel = jupyter / "kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(jupyter))
    client = NotebookClient(
        made_notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(working)}}
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # whose list of fonts takes seconds to make
    client.execute(env=environment)
