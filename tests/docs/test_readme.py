"""Tests of README.md and docs: commands run in order, tables list all recipes and models, links resolve."""

import io
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kaggle_stand_in
from digit_recognizer.data.sample import write_sample
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.toml import describe_models

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in BLOCKS[2:] + re.findall(r"```sh\n(.*?)```", REFERENCE, re.DOTALL) for line in block.splitlines()
]


def test_setup_commands_are_one_line_with_hashed_requirements():
    for block in BLOCKS[:2]:
        assert block.count("\n") == 1
        assert "--require-hashes" in block


def test_result_tables_list_every_recipe_and_model():
    rows = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {describe_models(recipe)} |" in rows for name, recipe in RECIPES.items())
    assert all(f"`{name}`" in README for name in RECIPES if not name.startswith("plain-"))
    assert {recipe.model for recipe in RECIPES.values()} == set(MODELS)


def test_every_relative_link_points_to_a_file():
    for file in (
        ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *map(str, ROOT.glob("docs/*.md")))
    ):
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8")):
            assert target.startswith("http") or (file.parent / target).exists(), f"{file.name}: {target}"


@pytest.mark.slow
def test_commands_run_in_order_with_the_real_client_against_a_stand_in_for_kaggle(workspace):
    """From the download to a public score. The stand-in serves the built-in sample under Kaggle's file names."""
    sample = workspace.folder / "elsewhere"
    write_sample(sample)
    served = io.BytesIO()
    with zipfile.ZipFile(served, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train.csv", "test.csv", "sample_submission.csv"):
            archive.write(sample / name, name)
    rows = (sample / "answers.csv").read_text().splitlines()[1:]
    answers = [int(row.split(",")[1]) for row in rows]
    with kaggle_stand_in.kaggle_stand_in(answers, served.getvalue()) as kaggle:
        environment = {**os.environ, **kaggle.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}
        environment["PYTHONPATH"] = str(ROOT / "src")
        del environment["DIGITS_WORKSPACE"]  # the workspace is the current folder
        for command in COMMANDS:
            words = shlex.split(command.replace("python run_pipeline.py", "digits run"))[1:]
            if words[0] == "run":
                words += ["--epochs", "1"]  # shorter trainings
            if "--folds" in words:
                words += ["--folds", "2"]
            program = [sys.executable, "-m", "digit_recognizer", *words]
            done = subprocess.run(program, cwd=workspace.folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            if "--submit" in words:
                assert "public score 0." in done.stdout
    assert len(kaggle.entries) == 1
    assert (workspace.data / "train.csv").exists()
    assert (workspace.folder / "wrong.csv").read_text().startswith("ImageId,Label,Answer\n")
