"""`digits leaderboard` and `digits show`."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from digit_recognizer import cli
from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.report.leaderboard import leaderboard, run_details, to_csv
from digit_recognizer.tracking.run_record import RunHeader
from digit_recognizer.tracking.run_session import open_run
from finished_runs import make_finished_run, write_data


@pytest.fixture
def three_runs(workspace):
    """A weak run with another recipe, a strong run, and one validated on a holdout; their names."""
    answers = write_data(workspace)
    weak = replace(RECIPES["lenet5"], epochs=3, members=({"model": "lenet-28"}, {}))
    return [
        make_finished_run(workspace, "weak", answers, 1.5, seed=1, recipe=weak, recipe_name="mine"),
        make_finished_run(workspace, "strong", answers, 4, seed=2),
        make_finished_run(workspace, "part", answers, 2.5, seed=3, rows=np.arange(100)),
    ]


def printed(capfd, *words):
    """The output of a command."""
    with pytest.raises(SystemExit, match="0"):
        cli.main(list(words))
    return capfd.readouterr().out


def test_the_best_run_is_first_and_accuracies_have_intervals(workspace, three_runs):
    rows = leaderboard(workspace)
    assert [row.name for row in rows] == ["strong", "part", "weak"]
    assert rows[0].low < rows[0].accuracy < rows[0].high
    assert [row.estimate for row in rows] == ["out-of-fold", "holdout", "out-of-fold"]
    assert rows[1].n == 100


def test_a_recipe_is_described_by_its_differences_from_the_default(workspace, three_runs):
    rows = {row.name: row for row in leaderboard(workspace)}
    assert rows["strong"].differences == ""
    assert rows["weak"].differences == "epochs 3, members lenet-28 + lenet5"
    assert rows["weak"].models == ("lenet-28", "lenet5")


def test_rows_are_sorted_and_filtered(workspace, three_runs):
    def names(**options):
        return [row.name for row in leaderboard(workspace, **options)]

    assert names(sort="newest") == ["part", "strong", "weak"]
    assert names(recipe="mine") == ["weak"]
    assert names(model="lenet-28") == ["weak"]
    assert names(n=1) == ["strong"]
    with workspace.open_ledger() as ledger:
        hash = ledger.run("weak").submission_hash
        entry = ledger.begin_submission(hash=hash, file="", description="", status="CREATING")
        ledger.update_submission(entry, status="COMPLETE", public_score=0.9)
    assert names(sort="public")[0] == "weak"
    with pytest.raises(InputError, match="expected one of accuracy, loss, public"):
        leaderboard(workspace, "beauty")


def test_unfinished_runs_are_listed_only_on_request(workspace, three_runs):
    with workspace.open_ledger() as ledger:
        weak = ledger.run("weak")
        hashes = (weak.train_hash, weak.test_hash)
        header = RunHeader("run", "lenet5", weak.recipe_fields, weak.data, weak.source, *hashes)
        with pytest.raises(KeyboardInterrupt), open_run(ledger, "stopped", header):
            raise KeyboardInterrupt
    assert len(leaderboard(workspace)) == 3
    assert leaderboard(workspace, sort="newest", every=True)[0].status == "interrupted"


def test_runs_on_the_sample_are_marked_and_rank_last(workspace, three_runs, capfd):
    assert "sample" not in printed(capfd, "leaderboard")
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run("strong").id, source="sample")
    assert [row.name for row in leaderboard(workspace)] == ["part", "weak", "strong"]
    assert [row.name for row in leaderboard(workspace, sort="loss")][-1] == "strong"
    assert [row.name for row in leaderboard(workspace, sort="newest")] == ["part", "strong", "weak"]
    assert re.search(r"data.*\n.*part(?s:.*)strong .* sample", printed(capfd, "leaderboard"))


def test_the_csv_has_no_formulas(workspace, three_runs):
    run_details("last", workspace, note="=HYPERLINK(1)")
    [noted] = [row for row in csv.DictReader(io.StringIO(to_csv(leaderboard(workspace)))) if row["note"]]
    assert noted["note"] == "'=HYPERLINK(1)"


def test_the_csv_has_the_values_of_the_rows(workspace, three_runs):
    rows = list(csv.DictReader(io.StringIO(to_csv(leaderboard(workspace)))))
    assert float(rows[0]["accuracy"]) == leaderboard(workspace)[0].accuracy
    assert rows[1]["n"] == "100"
    assert rows[2]["models"] == "lenet-28 + lenet5"


def test_details_include_recipe_networks_and_note(workspace, three_runs, capfd):
    found = run_details("strong", workspace, note="a first note")
    assert found.run.note == "a first note"
    assert found.run.recipe.epochs == RECIPES["lenet5"].epochs
    assert [own.name for own in found.networks] == ["lenet5-seed2"]
    out = printed(capfd, "show", "strong")
    for word in ("a first note", "lenet5-seed2", "61,706", "train.csv", f"epochs {RECIPES['lenet5'].epochs}"):
        assert word in out
    assert json.loads(json.dumps(found.to_json())) == found.to_json()


def test_the_leaderboard_of_an_empty_ledger_suggests_a_run(workspace, capfd):
    with workspace.open_ledger():
        pass
    assert " run` trains a network" in printed(capfd, "leaderboard")


def test_a_missing_ledger_is_an_error_and_is_not_created(workspace, capfd):
    for words in (["leaderboard"], ["show", "last"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main(words)
        assert f"{workspace.submissions}: no ledger there" in capfd.readouterr().err
    assert not workspace.submissions.exists()


def test_a_recipe_of_another_version_is_shown_unchanged(workspace, three_runs, capfd):
    with workspace.open_ledger() as ledger:
        run = ledger.run("last")
        recipe = {**run.recipe_fields, "model": "lenet5-1998", "batch_norm": True}
        ledger.update_run(run.id, recipe=recipe)
    assert "does not accept" in leaderboard(workspace, sort="newest")[0].differences
    assert "lenet5-1998" in printed(capfd, "show", "last")
