"""Tests of docs/iterating.md: its commands run in order on the built-in sample."""

import re
import shlex
from pathlib import Path

import pytest

import kaggle_stand_in
from digit_recognizer import cli
from finished_runs import write_data

DOC = (Path(__file__).resolve().parents[2] / "docs" / "iterating.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", DOC, re.DOTALL) for line in block.splitlines()]


@pytest.mark.slow
def test_commands_run_from_a_baseline_to_a_scored_blend(workspace, tiny_lenet5, monkeypatch, capfd):
    answers = write_data(workspace)
    printed = {}
    with kaggle_stand_in.kaggle_stand_in(answers.tolist()) as kaggle:
        for name, value in {**kaggle.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        for command in COMMANDS:
            words = [
                str(workspace.folder / word) if word.startswith("submissions/") else word
                for word in shlex.split(command)[1:]
            ]
            if words[0] == "run":
                words += ["--folds", "2", "--epochs", "1"]  # shorter trainings
            with pytest.raises(SystemExit) as leave:
                cli.main(words)
            out, err = capfd.readouterr()
            assert leave.value.code == 0, f"{command}\n{out}{err}"
            printed.setdefault(words[0], []).append(" ".join(out.split()))
    assert len(kaggle.entries) == 1
    assert all(re.search(r"significant, p =|no difference", verdict) for verdict in printed["compare"])
    assert "blend" in printed["leaderboard"][0]
    first, second = printed["plan"]
    assert " submit /" in first
    assert "Best so far: entry 1001" in second
    assert "public score 0." in printed["submit"][0]
    assert "the first committee" in printed["show"][0]
    assert (workspace.submissions / "report.html").stat().st_size > 100_000


def test_every_command_is_followed_by_its_output():
    blocks = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", DOC, re.DOTALL)
    assert [line for commands, _ in blocks for line in commands.splitlines()] == COMMANDS
    for commands, output in blocks:
        assert [line[2:] for line in output.splitlines() if line.startswith("$ ")] == commands.splitlines()
