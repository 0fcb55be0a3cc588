"""`digits doctor`, with the real client against a stand-in for Kaggle."""

import os
from pathlib import Path

import pytest

import kaggle_stand_in
from digit_recognizer.doctor import examine
from digit_recognizer.sample import write_sample


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
    Path("data/test.csv").unlink()
    assert found("data").ok is False


def test_a_folder_that_cannot_be_written_is_a_problem(workplace):
    Path("submissions").write_text("a file in its place")
    assert found(f"folder submissions{os.sep}").ok is False
