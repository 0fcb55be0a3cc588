"""The README is true: its commands run, in its order, and its tables name what there is."""

import io
import re
import shlex
import zipfile
from pathlib import Path

import pytest

import kaggle_stand_in
from digit_recognizer import cli
from digit_recognizer.data.sample import write_sample
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import RECIPES
from digit_recognizer.recipes.toml import describe_models

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for block in BLOCKS[2:] for line in block.splitlines()]


def test_first_two_blocks_are_one_line_each_and_set_themselves_up():
    for block in BLOCKS[:2]:
        assert block.count("\n") == 1
        assert "--require-hashes" in block


def test_every_recipe_and_model_stands_in_the_results():
    rows = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {describe_models(recipe)} |" in rows for name, recipe in RECIPES.items())
    assert all(f"`{name}`" in README for name in RECIPES if not name.startswith("plain-"))
    assert {recipe.model for recipe in RECIPES.values()} == set(MODELS)


def test_every_link_leads_to_a_file():
    for file in (
        ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *map(str, ROOT.glob("docs/*.md")))
    ):
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8")):
            assert target.startswith("http") or (file.parent / target).exists(), f"{file.name}: {target}"


@pytest.mark.slow
def test_commands_run_in_order_with_the_real_client_and_a_stand_in_for_kaggle(workplace, monkeypatch, capfd):
    """From the download to a public score; the competition served is the built-in sample under Kaggle's names."""
    write_sample(Path("elsewhere"))
    served = io.BytesIO()
    with zipfile.ZipFile(served, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train.csv", "test.csv", "sample_submission.csv"):
            archive.write(Path("elsewhere", name), name)
    rows = Path("elsewhere/answers.csv").read_text().splitlines()[1:]
    answers = [int(row.split(",")[1]) for row in rows]
    with kaggle_stand_in.kaggle_stand_in(answers, served.getvalue()) as kaggle:
        for name, value in {**kaggle.environment, "KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN}.items():
            monkeypatch.setenv(name, value)
        for command in COMMANDS:
            words = shlex.split(command.removeprefix("digits ").replace("python run_pipeline.py", "run"))
            if words[0] == "run":
                words += ["--epochs", "1"]  # only shorter
            if "--folds" in words:
                words += ["--folds", "2"]
            with pytest.raises(SystemExit) as leave:
                cli.main(words)
            out, err = capfd.readouterr()
            assert leave.value.code == 0, f"{command}\n{out}{err}"
            if "--submit" in words:
                assert "public score 0." in out
    assert len(kaggle.entries) == 1
    assert Path("data/train.csv").exists()
    assert Path("wrong.csv").read_text().startswith("ImageId,Label,Answer\n")
