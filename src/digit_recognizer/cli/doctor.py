"""`digits doctor`: checks everything a run relies on, and gives the cure for each fault."""

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import click
from packaging.requirements import Requirement

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, print_json
from digit_recognizer.cli.reporter import with_options
from digit_recognizer.competition import api, client
from digit_recognizer.data import sources
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.data.inspection import inspect
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils import environment
from digit_recognizer.utils.console import print_table
from digit_recognizer.utils.files import nearest_folder

_FAR_MORE = 1.02  # times the competition's rows


@dataclass(frozen=True)
class Finding:
    """One check: right, wrong, or (None) neither but worth knowing."""

    what: str
    ok: bool | None
    found: str
    cure: str = ""


def examine(workspace: Workspace, path: Path | None = None) -> list[Finding]:
    """Check versions, the data at `path` or that a run would use, folders, ledger and credentials.

    Reads all of the data; connects to Kaggle only when there are credentials.
    """
    return [*_versions(), _data(workspace, path), *_folders(workspace), *_ledger(workspace), *_kaggle()]


def examine_leaks(workspace: Workspace, path: Path | None = None) -> list[Finding]:
    """Check whether train.csv contains rows of test.csv, or far more rows than the competition gives.

    Raises InputError when the data at `path`, or that a run would use, is not there or is damaged.
    """
    source = sources.find(path, workspace.data)
    if source is None:
        raise InputError(
            "no data found to check. Name it with `data` (`--data sample` is the built-in one), or get it with "
            "`digits download`."
        )
    data = read_dataset(source)
    found = inspect(data.train, data.test)
    most = round(api.TRAIN_ROWS * _FAR_MORE)
    return [
        Finding("data", True, source.describe()),
        Finding(
            "test.csv in train.csv",
            not found.n_overlap,
            f"{found.n_overlap:,} of {found.n_test:,} test images are also in train.csv",
            "Take train.csv as Kaggle gives it: a network that learnt the test images has no honest score."
            if found.n_overlap
            else "",
        ),
        Finding(
            "rows of train.csv",
            found.n_train <= most and (found.n_train == api.TRAIN_ROWS or None),
            f"{found.n_train:,}; the competition gives {api.TRAIN_ROWS:,}",
            "Rows from elsewhere are most likely MNIST's, and Kaggle's test images are among those. Leave them out."
            if found.n_train > most
            else "",
        ),
        Finding(
            "copies in train.csv",
            None if found.n_duplicates else True,
            f"{found.n_duplicates:,} rows are copies of others",
        ),
    ]


def _versions() -> list[Finding]:
    python = f"{platform.python_version()} on {platform.platform(terse=True)}"
    try:
        found = environment.versions()
    except InputError as error:
        return [Finding("python", True, python), Finding("packages", False, str(error))]
    wrong = [needed for needed in _needed() if not needed.specifier.contains(found.get(needed.name) or "0")]
    installed = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items() if name != "python")
    findings = [Finding("python", True, python), Finding("packages", True, installed)]
    try:
        environment.require_backend()
    except InputError as error:
        findings.append(Finding("packages", False, str(error)))
        return findings
    if wrong:
        names = ", ".join(needed.name for needed in wrong)
        cure = "pip install " + " ".join(f'"{needed}"' for needed in wrong)
        findings.append(Finding("packages", False, f"missing or too old: {names}", cure))
    return findings


def _needed() -> list[Requirement]:
    """What pyproject.toml asks for, TensorFlow only where Keras computes by it; nothing of a package not installed."""
    try:
        found = [Requirement(line) for line in requires("digit-recognizer") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        return []
    return [needed for needed in found if needed.name != "tensorflow" or environment.backend() == "tensorflow"]


def _data(workspace: Workspace, path: Path | None) -> Finding:
    try:
        source = sources.find(path, workspace.data)
        data = read_dataset(source) if source else None
    except ImportError as error:  # the finding "packages" has the cure
        return Finding("data", None, f"not read: {error}")
    except (InputError, RunError) as error:
        return Finding("data", False, str(error))
    if data is None:
        cure = "`digits download`, or put train.csv and test.csv from Kaggle's data page into data/."
        return Finding("data", None, "Kaggle's files are not here; a run would use the built-in sample", cure)
    return Finding(
        "data",
        True,
        f"{data.source.describe()}: {len(data.train.pixels):,} labelled and {len(data.test.pixels):,} test images",
    )


def _folders(workspace: Workspace) -> list[Finding]:
    findings = []
    for folder in (workspace.data, workspace.submissions):
        existing, writable = nearest_folder(folder)
        cure = "" if writable else f"Make {existing} writable, or run from a folder of your own."
        findings.append(Finding(f"folder {folder}{os.sep}", writable, "writable" if writable else "not writable", cure))
    return findings


def _ledger(workspace: Workspace) -> list[Finding]:
    if lost := workspace.missing_ledger():
        return [Finding("ledger", False, lost, "Put a copy of it back, if there is one.")]
    if not workspace.ledger_file.exists():
        return []
    try:
        with workspace.existing_ledger() as ledger:
            known = ledger.runs()
    except RunError as error:
        return [Finding("ledger", False, str(error))]
    findings = [Finding("ledger", True, f"runs in {workspace.ledger_file}: {len(known):,}")]
    if strangers := workspace.run_folder_names() - {run.name for run in known}:
        cure = "Another ledger knows them; without it, only Kaggle's list shows which of them were uploaded."
        findings.append(Finding("runs", None, f"run folders that the ledger does not know: {len(strangers):,}", cure))
    return findings


def _kaggle() -> list[Finding]:
    found = client.find_credentials()
    if not found:
        cure = (
            f"Only --submit and download need them: make a token at {client.SETTINGS} "
            "and save it as ~/.kaggle/access_token."
        )
        return [Finding("credentials", None, "none", cure)]
    findings = [Finding("credentials", True, found[0])]
    if len(found) > 1:
        findings.append(Finding("credentials", None, f"also there, not used: {', '.join(found[1:])}"))
    try:
        username, allowance = api.check_access(), api.allowance()
    except RunError as error:
        return [*findings, Finding("Kaggle", False, str(error))]
    findings.append(Finding("Kaggle", True, f"answers to {username}, rules accepted"))
    if allowance is None:
        findings.append(Finding("allowance", None, "Kaggle does not report how many entries are left today"))
    elif allowance.exhausted:
        findings.append(
            Finding("allowance", False, f"used up, {allowance.num_today} today", "New entries from 00:00 UTC.")
        )
    else:
        findings.append(
            Finding("allowance", True, f"{allowance.num_allowed_now} entries left, {allowance.num_today} made today")
        )
    return findings


def show_findings(findings: list[Finding]) -> None:
    """Print a row for each finding, and its cure below it."""
    signs = {True: "ok", False: "!!", None: "--"}
    rows = []
    for finding in findings:
        rows.append([signs[finding.ok], finding.what, with_options(finding.found)])
        if finding.cure:
            rows.append(["", "", f"-> {with_options(finding.cure)}"])
    print_table(["", "", ""], rows)


@digits.command()
@click.option("--leak", is_flag=True, help="Check instead whether train.csv has test images or rows from elsewhere.")
@click.option("--data", type=FILE, metavar="PATH", help="The data to check. [what a run would use]")
@JSON
def doctor(leak: bool, data: Path | None, as_json: bool) -> None:
    """Check data, credentials and versions.

    Each fault comes with its cure.
    """
    workspace = current_workspace()
    findings = examine_leaks(workspace, data) if leak else examine(workspace, data)
    print_json([asdict(finding) for finding in findings]) if as_json else show_findings(findings)
    if any(finding.ok is False for finding in findings):
        raise click.exceptions.Exit(1)
