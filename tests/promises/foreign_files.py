"""Malicious files that try to run code, to write outside their folder, or to fill the memory."""

import gzip
import os
import pickle
import resource
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from digit_recognizer.competition.download import _unpack
from digit_recognizer.data import archives, csv_reader, sources, submission
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.recipes import toml
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import checkpoints
from digit_recognizer.utils.arrays import read_arrays
from kaggle_csv import kaggle_test

from .processes import refusal, start_process, wait_for
from .stub_runs import FACTS, IDENTITY

PROMISE = "no malicious file runs code, writes outside its folder or fills the memory"
CASES = "malicious files"

LABELS = np.arange(10)
MEMORY = 3_000_000_000  # bytes of address space that a trial may allocate
CSV_FILES = {"train.csv": b"label\n", "test.csv": b"pixel0\n", "sample_submission.csv": b"ImageId,Label\n"}


class _Code:
    """Writes a file outside the folder when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch ../harmed",)


def trial(number: int) -> None:
    """Runs in a child process with limited memory."""
    make = MALICIOUS[number % len(MALICIOUS)]
    Path("inside").mkdir()
    before = sorted(path for path in Path().rglob("*"))

    def act() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        os.chdir("inside")
        message = refusal(make)
        assert message, "refused without a message"

    reading, writing = os.pipe()
    code = wait_for(start_process(act, writing))
    os.close(writing)
    with os.fdopen(reading) as printed:
        assert code == 0, f"{make.__name__}: {printed.read()}"
    after = sorted(path for path in Path().rglob("*") if Path("inside") not in path.parents)
    assert after == before, f"{make.__name__} wrote {after}"


def _zip(members: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> Path:
    path = Path("digit-recognizer.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            archive.writestr(info, content)
    return path


def _downloaded(path: Path) -> None:
    _unpack(path)


def zip_with_names_above_the_folder() -> None:
    _downloaded(_zip({f"../{name}": content for name, content in CSV_FILES.items()}))


def zip_with_absolute_names() -> None:
    _downloaded(_zip({f"/tmp/{name}": content for name, content in CSV_FILES.items()}))


def zip_with_one_more_file() -> None:
    _downloaded(_zip(CSV_FILES | {"../../harmed": b""}))


def zip_with_a_duplicate_name() -> None:
    path = _zip(CSV_FILES)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr("train.csv", b"another")
    _downloaded(path)


def zip_bomb() -> None:
    _downloaded(_zip(CSV_FILES | {"test.csv": bytes(400_000_000)}))


def zip_with_a_wrong_size() -> None:
    path = _zip(CSV_FILES | {"test.csv": bytes(50_000_000)})
    content = path.read_bytes().replace(struct.pack("<I", 50_000_000), struct.pack("<I", 10))
    path.write_bytes(content)
    archives.read(path, "test.csv")


def zip_that_is_encrypted() -> None:
    path = _zip(CSV_FILES)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    path.write_bytes(content)
    archives.read(path, "train.csv")


def zip_with_an_unusual_compression() -> None:
    with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("train.csv", b"label\n")
    archives.read(Path("x.zip"), "train.csv")


def zip_whose_member_is_a_link() -> None:
    def link(info: zipfile.ZipInfo) -> None:
        info.external_attr = 0o120777 << 16

    path = _zip({"train.csv": b"/etc/passwd", "test.csv": b"/etc/passwd"}, link)
    read_dataset(sources.find(path, Path()))


def zip_with_a_wrong_checksum() -> None:
    path = _zip(CSV_FILES)
    content = bytearray(path.read_bytes())
    content[14] ^= 1
    content[content.index(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(content)
    archives.read(path, "train.csv")


def gzip_bomb() -> None:
    Path("train.csv").write_bytes(gzip.compress(bytes(1_500_000_000), 1))
    csv_reader.read_train(csv_reader.CsvFile(Path("train.csv")))


def gzip_bomb_in_many_parts() -> None:
    Path("train.csv").write_bytes(gzip.compress(bytes(10_000_000)) * 200)
    csv_reader.read_train(csv_reader.CsvFile(Path("train.csv")))


def gzip_of_one_huge_row() -> None:
    Path("train.csv").write_bytes(gzip.compress(b"," * 90_000_000))
    csv_reader.read_train(csv_reader.CsvFile(Path("train.csv")))


def csv_of_a_row_over_millions_of_lines() -> None:
    Path("train.csv").write_bytes(b'"\n",' * 20_000_000)
    csv_reader.read_train(csv_reader.CsvFile(Path("train.csv")))


def npz_with_a_pickle() -> None:
    np.savez("weights.npz", weights=np.array([_Code()], dtype=object))
    read_arrays(Path("weights.npz"))


def npz_that_is_a_pickle() -> None:
    Path("weights.npz").write_bytes(pickle.dumps(_Code()))
    read_arrays(Path("weights.npz"))


def npz_with_code_in_its_header() -> None:
    header = b"{'descr': __import__('os').system('touch ../harmed'), 'fortran_order': False, 'shape': (1,)}\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    _zip({"weights.npy": npy}).rename("weights.npz")
    read_arrays(Path("weights.npz"))


def npz_of_a_huge_array() -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    _zip({"weights.npy": npy}).rename("weights.npz")
    read_arrays(Path("weights.npz"))


def npz_bomb() -> None:
    np.savez_compressed("weights.npz", weights=np.zeros(500_000_000, np.uint8))
    read_arrays(Path("weights.npz"))


def gzip_bomb_of_empty_parts() -> None:
    Path("train.csv").write_bytes(gzip.compress(b"") * 200_000)
    csv_reader.read_train(csv_reader.CsvFile(Path("train.csv")))


def checkpoint_with_a_pickle() -> None:
    np.savez("checkpoint-3.npz", training=np.array(IDENTITY), history=np.array([_Code()], dtype=object))
    checkpoints.load_latest_checkpoint(Path(), IDENTITY)


def _foreign_run(name: str) -> None:
    """Write a ledger with a run of any name."""
    with Workspace().open_ledger() as ledger:
        ledger.start_run(name=name, **FACTS, versions={}, cpu="", threads=1)


def ledger_with_a_run_outside_the_folder() -> None:
    _foreign_run("../../harmed")
    with Workspace().open_ledger() as ledger, run_session.resume_run(ledger, ledger.run("last")):
        pass


def ledger_with_an_absolute_run_name() -> None:
    _foreign_run("/tmp/harmed")
    with Workspace().open_ledger() as ledger:
        run_dir.write_submission(ledger.run("last").folder, LABELS)


def ledger_with_a_network_outside_the_folder() -> None:
    run_dir.write_submission(run_dir.network_folder(Path("submissions/x"), "../../../harmed", 2), LABELS)


def ledger_with_a_recipe_of_code() -> None:
    _foreign_run("20260101-000000-mine")
    with Workspace().open_ledger() as ledger:
        ledger.update_run(1, recipe={"model": "__import__('os').system('touch ../harmed')"})
        ledger.run("last").recipe  # noqa: B018  # decodes the JSON


def recipe_with_a_file_as_base() -> None:
    Path("mine.toml").write_text('base = "../../etc/passwd"\n')
    toml.load(Path("mine.toml"))


def recipe_of_great_depth() -> None:
    Path("mine.toml").write_text("a = " + "[" * 100_000)
    toml.load(Path("mine.toml"))


def recipe_of_a_gigabyte() -> None:
    with Path("mine.toml").open("wb") as file:
        file.truncate(2**31)
    toml.load(Path("mine.toml"))


def data_that_is_a_device() -> None:
    Path("test.csv").write_bytes(kaggle_test(3))
    Path("train.csv").symlink_to("/dev/zero")
    read_dataset(sources.find(Path(), Path()))


def submission_of_one_huge_line() -> None:
    submission.parse(b"ImageId,Label\n1," + b"7" * 50_000_000, "mine.csv")


def submission_that_is_a_formula() -> None:
    submission.parse(b"ImageId,Label\n1,=cmd|'/C calc'!A0\n", "mine.csv")


def client_in_the_working_folder() -> None:
    """The child process does not import a kaggle.py of the working folder."""
    Path("kaggle.py").write_text("import os; os.system('touch ../harmed')")
    os.environ |= {"KAGGLE_API_TOKEN": "none", "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    os.environ |= {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "HOME": os.getcwd()}
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    from digit_recognizer.competition.api import entries

    entries()


MALICIOUS = [
    zip_with_names_above_the_folder,
    zip_with_absolute_names,
    zip_with_one_more_file,
    zip_with_a_duplicate_name,
    zip_bomb,
    zip_with_a_wrong_size,
    zip_that_is_encrypted,
    zip_with_an_unusual_compression,
    zip_whose_member_is_a_link,
    zip_with_a_wrong_checksum,
    gzip_bomb,
    gzip_bomb_in_many_parts,
    gzip_of_one_huge_row,
    csv_of_a_row_over_millions_of_lines,
    npz_with_a_pickle,
    npz_that_is_a_pickle,
    npz_with_code_in_its_header,
    npz_of_a_huge_array,
    npz_bomb,
    gzip_bomb_of_empty_parts,
    checkpoint_with_a_pickle,
    ledger_with_a_run_outside_the_folder,
    ledger_with_an_absolute_run_name,
    ledger_with_a_network_outside_the_folder,
    ledger_with_a_recipe_of_code,
    recipe_with_a_file_as_base,
    recipe_of_great_depth,
    recipe_of_a_gigabyte,
    data_that_is_a_device,
    submission_of_one_huge_line,
    submission_that_is_a_formula,
    client_in_the_working_folder,
]
GOAL = len(MALICIOUS)
