"""`digits doctor`: checks of everything that a run needs, each fault with its remedy."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import click
from packaging.requirements import Requirement

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, print_json, with_options
from digit_recognizer.competition import api, client
from digit_recognizer.data import sources
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.data.inspection import inspect
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils import environment
from digit_recognizer.utils.console import print_table
from digit_recognizer.utils.files import nearest_folder

_MANY_MORE = 1.02  # times the competition's rows


@dataclass(frozen=True)
class Finding:
    """The result of a check: ok, a fault (False), or information (None)."""

    what: str
    ok: bool | None
    found: str
    cure: str = ""


def examine(workspace: Workspace, path: Path | None = None) -> list[Finding]:
    """Check versions, data, folders, ledger and credentials.

    The data is that at `path`, by default what a run would use. Connects to Kaggle only if there are credentials.
    """
    return [*_versions(), _data(workspace, path), *_folders(workspace), *_ledger(workspace), *_kaggle()]


def examine_leaks(workspace: Workspace, path: Path | None = None) -> list[Finding]:
    """Check whether train.csv contains images of test.csv, or many more rows than the competition's.

    The data is that at `path`, by default what a run would use. Raises InputError when it is missing or damaged.
    """
    source = sources.find(path, workspace.data)
    if source is None:
        raise InputError(
            "no data found to check. Name it with `data` (`data` sample is the built-in sample), or get it with "
            "`digits download`."
        )
    data = read_dataset(source)
    found = inspect(data.train, data.test)
    has_added = found.n_train > _MANY_MORE * api.TRAIN_ROWS
    overlap = Finding(
        "test.csv in train.csv",
        not found.n_overlap,
        f"{found.n_overlap:,} of {found.n_test:,} test images are also in train.csv",
        "Use Kaggle's train.csv: scores of networks trained on test images mean nothing." if found.n_overlap else "",
    )
    rows = Finding(
        "rows of train.csv",
        False if has_added else found.n_train == api.TRAIN_ROWS or None,
        f"{found.n_train:,}; the competition has {api.TRAIN_ROWS:,}",
        "Added rows are probably MNIST's, which include Kaggle's test images. Remove them." if has_added else "",
    )
    duplicates = f"{found.n_duplicates:,} duplicate rows"
    copies = Finding("copies in train.csv", None if found.n_duplicates else True, duplicates)
    return [Finding("data", True, source.describe()), overlap, rows, copies]


def _versions() -> list[Finding]:
    python = Finding("python", True, f"{platform.python_version()} on {platform.platform(terse=True)}")
    try:
        environment.require_backend()
        found = environment.versions()
    except InputError as error:
        return [python, Finding("packages", False, str(error))]
    installed = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items() if name != "python")
    findings = [python, Finding("packages", True, installed)]
    if wrong := [
        needed
        for needed in _needed()
        if not needed.specifier.contains(environment.installed_version(needed.name) or "0")
    ]:
        names = ", ".join(needed.name for needed in wrong)
        cure = "pip install " + " ".join(f'"{needed}"' for needed in wrong)
        findings.append(Finding("packages", False, f"missing or too old: {names}", cure))
    return findings


def _needed() -> list[Requirement]:
    """The requirements of the installed package, without TensorFlow if Keras has another backend."""
    try:
        found = [Requirement(line) for line in requires("digit-recognizer") or [] if "extra ==" not in line]
    except PackageNotFoundError:  # a checkout that is not installed
        return []
    return [needed for needed in found if needed.name != "tensorflow" or environment.backend() == "tensorflow"]


def _data(workspace: Workspace, path: Path | None) -> Finding:
    try:
        source = sources.find(path, workspace.data)
        data = read_dataset(source) if source else None
    except ImportError as error:  # the finding "packages" has the remedy
        return Finding("data", None, f"not read: {error}")
    except (InputError, RunError) as error:
        return Finding("data", False, str(error))
    if data is None:
        cure = "`digits download`, or put train.csv and test.csv from Kaggle's data page into data/."
        return Finding("data", None, "no Kaggle files; a run would use the built-in sample", cure)
    images = f"{len(data.train.pixels):,} labelled and {len(data.test.pixels):,} test images"
    return Finding("data", True, f"{data.source.describe()}: {images}")


def _folders(workspace: Workspace) -> list[Finding]:
    findings = []
    for folder in (workspace.data, workspace.submissions):
        existing, writable = nearest_folder(folder)
        cure = "" if writable else f"Make {existing} writable, or choose another folder with `workspace`."
        findings.append(Finding(f"folder {folder}{os.sep}", writable, "writable" if writable else "not writable", cure))
    return findings


def _ledger(workspace: Workspace) -> list[Finding]:
    if lost := workspace.missing_ledger():
        return [Finding("ledger", False, lost, "Restore a copy of it, if there is one.")]
    if not workspace.ledger_file.exists():
        return []
    try:
        with workspace.existing_ledger() as ledger:
            runs = ledger.runs()
    except RunError as error:
        return [Finding("ledger", False, str(error))]
    findings = [Finding("ledger", True, f"runs in {workspace.ledger_file}: {len(runs):,}")]
    if unknown := workspace.run_folder_names() - {run.name for run in runs}:
        findings.append(Finding("runs", None, f"run folders that the ledger does not have: {len(unknown):,}"))
    return findings


def _kaggle() -> list[Finding]:
    found = client.find_credentials()
    if not found:
        cure = f"To download or upload, make a token at {client.SETTINGS} and save it as ~/.kaggle/access_token."
        return [Finding("credentials", None, "none", cure)]
    findings = [Finding("credentials", True, found[0])]
    if len(found) > 1:
        findings.append(Finding("credentials", None, f"not used: {', '.join(found[1:])}"))
    try:
        username, allowance = api.check_access(), api.allowance()
    except RunError as error:
        return [*findings, Finding("Kaggle", False, str(error))]
    findings.append(Finding("Kaggle", True, f"rules accepted by {username}"))
    if allowance is None:
        text = "Kaggle does not report how many entries are left today"
        return [*findings, Finding("allowance", None, text)]
    text = f"entries left today: {allowance.num_allowed_now}, made today: {allowance.num_today}"
    cure = "The allowance is renewed at 00:00 UTC." if allowance.exhausted else ""
    return [*findings, Finding("allowance", not allowance.exhausted, text, cure)]


@digits.command()
@click.option("--leak", is_flag=True, help="Only check whether train.csv contains test images or added rows.")
@click.option("--data", type=FILE, metavar="PATH", help="Data to check. [the data that a run would use]")
@JSON
def doctor(leak: bool, data: Path | None, as_json: bool) -> None:
    """Check versions, data, folders, ledger and credentials.

    Each fault is printed with its remedy.
    """
    workspace = current_workspace()
    findings = examine_leaks(workspace, data) if leak else examine(workspace, data)
    signs, rows = {True: "ok", False: "!!", None: "--"}, []
    for finding in findings:
        rows.append([signs[finding.ok], finding.what, with_options(finding.found)])
        if finding.cure:
            rows.append(["", "", f"-> {with_options(finding.cure)}"])
    print_json(findings) if as_json else print_table(["", "", ""], rows)
    if any(finding.ok is False for finding in findings):
        raise click.exceptions.Exit(1)
