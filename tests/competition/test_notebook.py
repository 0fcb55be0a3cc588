"""The notebook is valid and reproducible, contains what it needs, and runs with only Kaggle's folders."""

import json
import os
import subprocess
import sys
import tomllib
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

PACKAGE = Path(digit_recognizer.__file__).parent
RECIPE = catalog.RECIPES["lenet5"]
ENSEMBLE = recipes.change(
    RECIPE, catalog.with_named_members({"members": ["lenet5", {"model": "lenet-28", "batch_norm": False}]})
)

# The first cell of the notebook under test forbids connections and look-ups of names ...
OFFLINE = """
import sys

def offline(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise OSError(f"{event}{arguments}: the internet is off")

sys.addaudithook(offline)
"""
# ... and the last one lists the imported modules of the package, all of them written by the notebook.
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


def test_the_notebook_is_valid_and_formatted_as_by_nbformat():
    read = made()
    nbformat.validate(read)
    assert nbformat.writes(read) + "\n" == notebook("lenet5", RECIPE, sources()).decode()
    assert len({cell.id for cell in read.cells}) == len(read.cells)


def test_the_bytes_of_a_notebook_depend_only_on_code_and_recipe(tmp_path):
    for path in ("one.ipynb", "two.ipynb"):
        write_notebook(tmp_path / path, "lenet5", RECIPE)
    assert (tmp_path / "one.ipynb").read_bytes() == (tmp_path / "two.ipynb").read_bytes()
    assert notebook("lenet5", ENSEMBLE, sources()) != (tmp_path / "one.ipynb").read_bytes()
    changed = notebook("lenet5", RECIPE, {**sources(), "errors.py": ""})
    heads = [json.loads(data)["cells"][0] for data in (changed, (tmp_path / "one.ipynb").read_bytes())]
    assert heads[0] != heads[1]  # the head has a hash of the code


def test_the_notebook_has_the_files_that_a_run_imports_and_no_others(tmp_path):
    files = written_files(made())
    for path, text in files.items():
        assert text == (PACKAGE.parent / path).read_text(encoding="utf-8")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    names = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files]
    code = f"from importlib import import_module\nfor name in {names}: import_module(name)"
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONSAFEPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    absent = ("__main__.py", "api.py", "blending.py", "cli/", "competition/client_process.py", "competition/plan.py")
    assert not [path for path in files if path.partition("/")[2].startswith(absent)]


@pytest.mark.parametrize("recipe", [RECIPE, ENSEMBLE])
def test_the_settings_are_the_recipe_and_kaggles_folders(recipe):
    found = settings(made(recipe))
    assert (found["INPUT"], found["WORKING"]) == (Path("/kaggle/input"), Path("/kaggle/working"))
    assert recipes.from_record(tomllib.loads(found["RECIPE"])) == recipe


def test_without_the_competitions_data_the_error_explains_how_to_add_it(tmp_path):
    [run] = [cell.source for cell in made().cells if cell.id == "run"]
    with pytest.raises(FileNotFoundError, match="Add Input"):
        exec(run, {**settings(made()), "INPUT": tmp_path})


def test_special_characters_of_a_name_are_replaced():
    assert settings(made(name='my "best" \\ recipe'))["NAME"] == "my-best-recipe"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--recipe", "lenet"), "Did you mean lenet5"),
        (("-o", "submission.csv"), "ends in .ipynb"),
        (("--from-run", "last"), "no ledger there"),
    ],
)
def test_wrong_arguments_end_with_exit_code_2_and_write_nothing(words, message, workspace, capfd):
    file = workspace.folder / "mine.ipynb"
    with pytest.raises(SystemExit) as leave:
        cli.main(["notebook", "-o", str(file), *words])
    assert leave.value.code == 2
    assert message in capfd.readouterr().err
    assert not list(workspace.folder.iterdir())


@pytest.mark.slow
def test_the_notebook_runs_in_kaggles_folders_without_package_and_internet(tmp_path, workspace, monkeypatch):
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
    assert "test.csv:  597 images, mean ink" in printed(training)
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
    """Run all cells in a kernel of this interpreter, in which the package is not installed."""
    kernel = jupyter / "kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(jupyter))
    client = NotebookClient(
        made_notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(working)}}
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # its list of fonts takes seconds to make
    client.execute(env=environment)
