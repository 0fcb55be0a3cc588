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
from digit_recognizer.competition.client import require_credentials
from digit_recognizer.data.sample import write_sample
from digit_recognizer.errors import InputError
from digit_recognizer.report import leaderboard
from digit_recognizer.tracking import run_session
from digit_recognizer.utils import environment
from digit_recognizer.utils.environment import PACKAGES


@pytest.fixture
def kaggle(workplace, monkeypatch):
    with kaggle_stand_in.kaggle_stand_in([0] * 4) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        yield stand_in


def found(what):
    [finding] = [finding for finding in examine() if finding.what == what]
    return finding


def test_a_healthy_account_is_told_with_its_allowance_and_never_its_token(kaggle):
    findings = {finding.what: finding for finding in examine()}
    assert findings["Kaggle"].ok
    assert findings["allowance"].ok
    assert findings["credentials"].found == "KAGGLE_API_TOKEN"
    assert kaggle_stand_in.TOKEN not in str(findings)


def test_rules_not_accepted_is_a_problem_with_its_cure(kaggle):
    kaggle.fail("DownloadDataFile", 403)
    finding = found("Kaggle")
    assert finding.ok is False
    assert "/rules" in finding.cure


def test_wrong_credentials_are_a_problem_with_their_cure(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "canary-expired")
    finding = found("Kaggle")
    assert finding.ok is False
    assert "expired" in finding.found
    assert "canary" not in str(finding)


def test_damaged_data_is_a_problem(workplace):
    write_sample(Path("data"))
    train = Path("data/train.csv")
    whole = train.read_bytes()
    assert found("data").ok
    train.write_bytes(whole[:-3])
    assert "data/train.csv" in found("data").found
    assert found("data").ok is False
    train.write_bytes(whole)
    Path("data/test.csv").unlink()
    assert found("data").ok is False


def test_without_pandas_the_data_is_not_read_and_the_rest_is_told(workplace, monkeypatch):
    write_sample(Path("data"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert found("data").ok is None
    assert "pandas" in found("data").found


def test_a_folder_that_cannot_be_written_is_a_problem(workplace):
    Path("submissions").write_text("a file in its place")
    assert found(f"folder submissions{os.sep}").ok is False


def test_tensorflow_is_needed_only_where_keras_computes_by_it(workplace, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["tensorflow>=99", "keras>=3.13", 'jax>=99; extra == "dev"'])
    [wrong] = [finding for finding in examine() if finding.what == "packages" and not finding.ok]
    assert "tensorflow" in wrong.found
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(environment, "version", lambda name: "3.15.1")
    assert all(finding.ok for finding in examine() if finding.what == "packages")


def test_the_backend_is_found_as_keras_finds_it(workplace, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(workplace))
    assert environment.backend() == "tensorflow"
    for content, backend in [('{"backend": "jax"}', "jax"), ("[]", "tensorflow"), ("{", "tensorflow")]:
        Path("keras.json").write_text(content)
        assert environment.backend() == backend
    Path("keras.json").write_text('{"backend": "theano"}')
    with pytest.raises(InputError, match=r"keras\.json: expected one of .* received 'theano'"):
        environment.backend()


def test_a_backend_that_is_not_there_is_told_with_its_cure(workplace, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    [wrong] = [finding for finding in examine() if finding.what == "packages" and not finding.ok]
    assert "pip install jax" in wrong.found
    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    [wrong] = [finding for finding in examine() if finding.what == "packages"]
    assert "KERAS_BACKEND: expected one of tensorflow" in wrong.found


def leaks(folder):
    return {finding.what: finding.ok for finding in examine_leaks(folder)}


def test_clean_data_has_no_leak(workplace):
    write_sample(Path("data"))
    assert leaks(Path("data")) == {
        "data": True,
        "test.csv in train.csv": True,
        "rows of train.csv": None,  # it is the sample
        "copies in train.csv": True,
    }


def test_test_rows_in_train_and_copies_are_found(workplace):
    write_sample(Path("data"))
    train, test = Path("data/train.csv"), Path("data/test.csv")
    stolen = test.read_text().splitlines()[1]
    train.write_text(train.read_text() + f"7,{stolen}\n7,{stolen}\n")
    found = leaks(Path("data"))
    assert found["test.csv in train.csv"] is False
    assert found["copies in train.csv"] is None


def test_far_more_rows_than_the_competition_gives_are_found(workplace, monkeypatch):
    write_sample(Path("data"))
    monkeypatch.setattr("digit_recognizer.competition.api.TRAIN_ROWS", 1_100)
    assert leaks(Path("data"))["rows of train.csv"] is False


def test_without_data_there_is_nothing_to_look_at(workplace):
    with pytest.raises(InputError, match="no data found"):
        examine_leaks()


def test_the_versions_of_all_dependencies_are_told():
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    assert {re.match("[a-z-]+[a-z0-9-]*", line)[0] for line in project["dependencies"]} == set(PACKAGES)


def test_a_ledger_that_is_gone_or_empty_is_told(workplace, capfd):
    with run_session.ledger():
        pass
    Path("submissions/20260101-000000-mine").mkdir()
    for lose in (lambda: run_session.LEDGER.write_bytes(b""), run_session.LEDGER.unlink):
        with run_session.ledger():
            pass
        assert found("ledger").ok
        for file in Path("submissions").glob("ledger.sqlite-*"):
            file.unlink()
        lose()
        assert not found("ledger").ok
        assert "is gone or empty, but there are folders of runs, 1" in found("ledger").found
        capfd.readouterr()
        assert leaderboard.leaderboard() == []
        out, err = capfd.readouterr()
        assert (out, "of what was sent only Kaggle's list tells" in " ".join(err.split())) == ("", True)
        assert found("runs").found == "folders of runs that the ledger does not know: 1"  # for good


def test_a_key_file_that_holds_no_key_is_told(workplace):
    Path(os.environ["HOME"], ".kaggle").mkdir()
    Path(os.environ["HOME"], ".kaggle", "kaggle.json").write_text("{broken")
    assert found("credentials").found == "none: ~/.kaggle/kaggle.json without username and key"
    with pytest.raises(InputError, match=r"kaggle\.json is there, but holds no username and key"):
        require_credentials()


def test_a_damaged_ledger_is_a_problem_and_a_good_one_is_counted(workplace):
    with run_session.ledger():
        pass
    assert found("ledger").ok
    run_session.LEDGER.write_bytes(b"this is no database, " * 100)
    assert found("ledger").ok is False
    assert "move it away" in found("ledger").found
