"""What the source must not do: make code or objects of what it reads, or write a file past the one writer."""

import ast
from pathlib import Path

import pytest

from digit_recognizer import cli

SOURCE = Path(cli.__file__).parents[1]
FILES = sorted(SOURCE.rglob("*.py"))

MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "ctypes", "runpy"}
CALLS = {
    *("eval", "exec", "__import__", "import_module", "extract", "extractall", "unpack_archive"),
    *("load", "load_model", "load_weights", "read_pickle"),  # np.load but with allow_pickle=False
    *("deserialize_keras_object", "enable_unsafe_deserialization"),
    *("write_text", "write_bytes", "save", "savez", "savez_compressed", "savefig", "savetxt", "tofile", "memmap"),
    *("to_csv", "to_pickle", "save_weights", "dump", "copyfile", "copy2", "copytree", "move"),
}
ALLOWED = {
    ("__init__.py", "import_module"),  # of modules of this package, by a table of names
    ("competition/api.py", "copy.write_bytes"),  # of a submission, for the client to read, in a folder that is removed
    ("inference/engines.py", "keras.saving.load_model"),  # of what was made a moment before, to check it
    ("inference/engines.py", "path.write_bytes"),  # for that, in a folder that is removed
    (
        "training/parallel/process_pool.py",
        "joblib.externals.loky.ProcessPoolExecutor",
    ),  # objects go through the pipes of our own processes
    ("inference/formats.py", "model.save"),  # in a folder that is removed
    ("cli/app.py", "os.open"),  # of os.devnull
    ("cli/app.py", "open"),  # of os.devnull
    ("cli/app.py", "tempfile.NamedTemporaryFile"),  # for the traceback of a fault
    ("competition/client_process.py", "os.fdopen"),  # stdout
    ("competition/client_process.py", "os.open"),  # of os.devnull
    ("utils/files.py", "temporary.open"),  # the writer itself: the temporary file that replaces the old one
    ("utils/partial_files.py", "path.open"),  # of an output that grows beside its name, and gets it when it is complete
    ("cli/recipe_options.py", "load"),  # ours, of TOML
    ("utils/environment.py", "joblib"),  # for the number of cores
    ("training/tuning/sweep.py", "search_space.load"),  # ours, of TOML
    ("cli/runs.py", "board.to_csv"),  # our own, which makes text
    ("report/plots.py", "figure.savefig"),  # into memory
    ("utils/arrays.py", "np.savez_compressed"),  # into memory
}


def faults(text, name):
    """What a source does of that."""
    tree = ast.parse(text)
    return [word for node in ast.walk(tree) for word in (*_imports(node), *_calls(node)) if (name, word) not in ALLOWED]


def _imports(node):
    words = []
    if isinstance(node, ast.Import):
        words = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        words = [f"{node.module}.{alias.name}" for alias in node.names]
        if renamed := [alias.name for alias in node.names if alias.asname and alias.name in CALLS]:
            return renamed
    return [word for word in words if any(f"{word}.".startswith(f"{module}.") for module in MODULES)]


def _calls(node):
    if not isinstance(node, ast.Call):
        return []
    word = ast.unparse(node.func)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    is_listed = word.rpartition(".")[2] in CALLS or word in ("compile", "os.system", "os.popen")
    is_opened_to_write = word.endswith("open") and _writes(word, node.args, options.get("mode", ""))
    if (word == "np.load" and options.get("allow_pickle") == "False") or not (
        is_listed or is_opened_to_write or "shell" in options
    ):
        return []
    return [word]


def _writes(word, arguments, mode):
    """Whether a call of `open`, or of a method of this name, may open to write."""
    text = mode + " ".join(map(ast.unparse, arguments[:2]))
    unknown = word == "open" and len(arguments) > 1 and not isinstance(arguments[1], ast.Constant)
    return unknown or any(word in text for word in ("'w", "'a", "'x", "+", "O_WRONLY", "O_RDWR", "O_CREAT"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(SOURCE)) for file in FILES])
def test_the_source_keeps_to_its_reader_and_its_writer(file):
    assert not faults(file.read_text(encoding="utf-8"), file.relative_to(SOURCE).as_posix())


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from joblib.externals import cloudpickle", "import yaml.reader"),
        *("keras.saving.load_model(path)", "model.load_weights(path)", "joblib.load(path)", "np.load(path)"),
        *("np.load(path, allow_pickle=True)", "archive.extractall(folder)", "eval(text)"),
        *("numpy.load(path)", "load(path)", "importlib.import_module(name)", "path.open('r+')"),
        *("subprocess.run(words, shell=True)", "path.write_text(text)", "open(path, 'w')", "path.open('ab')"),
        *("frame.to_csv(path)", "model.save(path)", "np.savez(path, x=x)", "np.memmap(path, mode='w+')"),
        *("import cloudpickle", "from joblib import load as read", "pd.read_pickle(path)", "os.system(text)"),
        *("compile(text, name, 'exec')", "open(path, mode)", "os.open(path, os.O_WRONLY)", "shutil.copyfile(a, b)"),
    ],
)
def test_the_reader_of_the_source_sees_what_it_looks_for(line):
    assert faults(line, "any.py")


def test_the_reader_of_the_source_sees_no_more():
    assert not faults("np.load(path, allow_pickle=False)\nopen(path)\npath.open('rb')\nmodel.compile(x)", "any.py")
