"""`digits doctor`, with the real client against a stand-in for Kaggle."""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

import kaggle_stand_in
from digit_recognizer.cli import doctor
from digit_recognizer.cli.doctor import examine, examine_leaks
from digit_recognizer.data.sample import write_sample
from digit_recognizer.errors import InputError
from digit_recognizer.report.leaderboard import leaderboard
from digit_recognizer.utils import environment
from digit_recognizer.utils.environment import PACKAGES
from digit_recognizer.utils.reporter import Reporter


@pytest.fixture
def kaggle(workspace, monkeypatch):
    with kaggle_stand_in.kaggle_stand_in([0] * 4) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        yield stand_in


@pytest.fixture
def found(workspace):
    """Finds the only finding of a name."""

    def find(what):
        [finding] = [finding for finding in examine(workspace) if finding.what == what]
        return finding

    return find


def test_a_healthy_account_is_shown_with_its_allowance_and_never_its_token(kaggle, workspace):
    findings = {finding.what: finding for finding in examine(workspace)}
    assert findings["Kaggle"].ok
    assert findings["allowance"].ok
    assert findings["credentials"].found == "KAGGLE_API_TOKEN"
    assert kaggle_stand_in.TOKEN not in str(findings)


def test_rules_that_are_not_accepted_are_a_fault(kaggle, found):
    kaggle.fail("DownloadDataFile", 403)
    finding = found("Kaggle")
    assert finding.ok is False
    assert "/rules" in finding.found


def test_wrong_credentials_are_a_fault_with_a_remedy(kaggle, found, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "canary-expired")
    finding = found("Kaggle")
    assert finding.ok is False
    assert "expired" in finding.found
    assert "canary" not in str(finding)


def test_damaged_data_is_a_fault(workspace, found):
    write_sample(workspace.data)
    train = workspace.data / "train.csv"
    intact = train.read_bytes()
    assert found("data").ok
    train.write_bytes(intact[:-3])
    assert str(train) in found("data").found
    assert found("data").ok is False
    train.write_bytes(intact)
    (workspace.data / "test.csv").unlink()
    assert found("data").ok is False


def test_without_pandas_the_data_is_not_read_and_the_rest_is_checked(workspace, found, monkeypatch):
    write_sample(workspace.data)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert found("data").ok is None
    assert "pandas" in found("data").found


def test_a_folder_that_is_not_writable_is_a_fault(workspace, found):
    workspace.submissions.write_text("a file in its place")
    assert found(f"folder {workspace.submissions}{os.sep}").ok is False


def test_tensorflow_is_required_only_as_the_backend_of_keras(workspace, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["tensorflow>=99", "keras>=3.13", 'jax>=99; extra == "dev"'])
    [wrong] = [finding for finding in examine(workspace) if finding.what == "packages" and not finding.ok]
    assert "tensorflow" in wrong.found
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(environment, "version", lambda name: "3.15.1")
    assert all(finding.ok for finding in examine(workspace) if finding.what == "packages")


def test_the_backend_is_found_as_keras_finds_it(workspace, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(workspace.folder))
    file = workspace.folder / "keras.json"
    assert environment.backend() == "tensorflow"
    for content, backend in [('{"backend": "jax"}', "jax"), ("[]", "tensorflow"), ("{", "tensorflow")]:
        file.write_text(content)
        assert environment.backend() == backend
    file.write_text('{"backend": "theano"}')
    with pytest.raises(InputError, match=r"keras\.json: expected one of .* received 'theano'"):
        environment.backend()


def test_a_backend_that_is_not_installed_is_a_fault_with_a_remedy(workspace, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    [wrong] = [finding for finding in examine(workspace) if finding.what == "packages" and not finding.ok]
    assert "pip install jax" in wrong.found
    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    [wrong] = [finding for finding in examine(workspace) if finding.what == "packages"]
    assert ": expected one of tensorflow" in wrong.found


def leaks(workspace):
    return {finding.what: finding.ok for finding in examine_leaks(workspace)}


def test_clean_data_has_no_leak(workspace):
    write_sample(workspace.data)
    assert leaks(workspace) == {
        "data": True,
        "test.csv in train.csv": True,
        "rows of train.csv": None,  # it is the sample
        "copies in train.csv": True,
    }


def test_test_rows_in_train_and_copies_are_found(workspace):
    write_sample(workspace.data)
    train, test = workspace.data / "train.csv", workspace.data / "test.csv"
    copied = test.read_text().splitlines()[1]
    train.write_text(train.read_text() + f"7,{copied}\n7,{copied}\n")
    findings = leaks(workspace)
    assert findings["test.csv in train.csv"] is False
    assert findings["copies in train.csv"] is None


def test_many_more_rows_than_the_competition_has_are_found(workspace, monkeypatch):
    write_sample(workspace.data)
    monkeypatch.setattr("digit_recognizer.competition.api.TRAIN_ROWS", 1_100)
    assert leaks(workspace)["rows of train.csv"] is False


def test_leaks_cannot_be_checked_without_data(workspace):
    with pytest.raises(InputError, match="no data found"):
        examine_leaks(workspace)


def test_the_versions_of_all_dependencies_that_affect_a_run_are_recorded():
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    assert {re.match("[a-z-]+[a-z0-9-]*", line)[0] for line in project["dependencies"]} == {*PACKAGES, "packaging"}


def test_the_doctor_finds_each_dependency_that_is_installed(monkeypatch):
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    monkeypatch.setattr(doctor, "requires", lambda package: project["dependencies"])
    assert [finding.what for finding in doctor._versions() if finding.ok is not True] == []


def test_a_missing_or_empty_ledger_is_a_fault(workspace, found):
    class Recording(Reporter):
        warnings = ()

        def warning(self, text):
            self.warnings += (text,)

    with workspace.open_ledger():
        pass
    (workspace.submissions / "20260101-000000-mine").mkdir()
    for lose in (lambda: workspace.ledger_file.write_bytes(b""), workspace.ledger_file.unlink):
        reporter, lost = Recording(), "is missing or empty, but there are 1 run folders"
        with workspace.open_ledger(reporter):
            pass
        assert found("ledger").ok
        for file in workspace.submissions.glob("ledger.sqlite-*"):
            file.unlink()
        lose()
        assert not found("ledger").ok
        assert lost in found("ledger").found
        with pytest.raises(InputError, match=lost):
            leaderboard(workspace)
        assert not found("ledger").ok  # reading creates no new one
        with workspace.open_ledger(reporter):
            pass
        assert "these runs and their uploads." in reporter.warnings[-1]
        assert leaderboard(workspace) == []
        assert found("runs").found == "run folders that the ledger does not have: 1"  # from then on


def test_a_damaged_ledger_is_a_fault(workspace, found):
    with workspace.open_ledger():
        pass
    assert found("ledger").ok
    workspace.ledger_file.write_bytes(b"this is no database, " * 100)
    assert found("ledger").ok is False
    assert "move it away" in found("ledger").found
