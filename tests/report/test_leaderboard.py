"""`digits leaderboard` and `digits show`."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import RECIPES
from digit_recognizer.report import leaderboard
from digit_recognizer.tracking import run_session
from digit_recognizer.tracking.run_dir import short_name
from finished_runs import finish_run, write_data


@pytest.fixture
def three_runs(workplace):
    """A weak run with another recipe, a strong one, and one judged on a holdout; names."""
    answers = write_data()
    weak = replace(RECIPES["lenet5"], epochs=3, members=({"model": "lenet-28"}, {}))
    return [
        finish_run("weak", answers, 1.5, seed=1, recipe=weak, recipe_name="mine"),
        finish_run("strong", answers, 4, seed=2),
        finish_run("part", answers, 2.5, seed=3, rows=np.arange(100)),
    ]


def test_the_best_run_is_first_and_each_estimate_has_its_interval(three_runs):
    rows = leaderboard.leaderboard()
    assert [short_name(row["run"]) for row in rows] == ["strong", "part", "weak"]
    assert rows[0]["low"] < rows[0]["accuracy"] < rows[0]["high"]
    assert [row["estimate"] for row in rows] == ["out-of-fold", "holdout", "out-of-fold"]
    assert rows[1]["n"] == 100


def test_a_recipe_is_told_by_its_differences_to_the_default(three_runs):
    rows = {short_name(row["run"]): row for row in leaderboard.leaderboard()}
    assert rows["strong"]["differences"] == ""
    assert rows["weak"]["differences"] == "epochs 3, members lenet-28 + lenet5"
    assert rows["weak"]["models"] == ["lenet-28", "lenet5"]


def test_rows_are_sorted_and_filtered(three_runs):
    def names(**options):
        return [short_name(row["run"]) for row in leaderboard.leaderboard(**options)]

    assert names(sort="newest") == ["part", "strong", "weak"]
    assert names(recipe="mine") == ["weak"]
    assert names(model="lenet-28") == ["weak"]
    assert names(n=1) == ["strong"]
    with run_session.ledger() as book:
        entry = book.begin_submission(
            hash=book.run("weak")["submission_hash"], file="", description="", status="CREATING"
        )
        book.update_submission(entry, status="COMPLETE", public_score=0.9)
    assert names(sort="public")[0] == "weak"
    with pytest.raises(InputError, match="expected one of accuracy, loss, public"):
        leaderboard.leaderboard("luck")


def test_runs_that_did_not_finish_are_shown_only_with_all(three_runs):
    with run_session.ledger() as book:
        facts = {key: book.run("weak")[key] for key in ("recipe", "data", "source", "train_hash", "test_hash")}
        entered = run_session.open_run(book, "stopped", kind="run", recipe_name="lenet5", **facts)
        with pytest.raises(KeyboardInterrupt), entered:
            raise KeyboardInterrupt
    assert len(leaderboard.leaderboard()) == 3
    assert leaderboard.leaderboard(sort="newest", every=True)[0]["status"] == "interrupted"


def test_runs_on_the_sample_are_marked_and_rank_after_all_others(three_runs, capfd):
    leaderboard.show_board(leaderboard.leaderboard())
    assert "sample" not in capfd.readouterr().out
    with run_session.ledger() as book:
        book.update_run(book.run("strong")["id"], source="sample")
    assert [row["name"] for row in leaderboard.leaderboard()] == ["part", "weak", "strong"]
    assert [row["name"] for row in leaderboard.leaderboard(sort="loss")][-1] == "strong"
    assert [row["name"] for row in leaderboard.leaderboard(sort="newest")] == ["part", "strong", "weak"]
    leaderboard.show_board(leaderboard.leaderboard())
    assert re.search(r"data.*\n.*part(?s:.*)strong .* sample", capfd.readouterr().out)


def test_no_cell_of_the_csv_is_a_formula(three_runs):
    leaderboard.run_details("last", note="=HYPERLINK(1)")
    [noted] = [row for row in csv.DictReader(io.StringIO(leaderboard.to_csv(leaderboard.leaderboard()))) if row["note"]]
    assert noted["note"] == "'=HYPERLINK(1)"


def test_csv_holds_what_the_rows_hold(three_runs):
    rows = list(csv.DictReader(io.StringIO(leaderboard.to_csv(leaderboard.leaderboard()))))
    assert float(rows[0]["accuracy"]) == leaderboard.leaderboard()[0]["accuracy"]
    assert rows[1]["n"] == "100"
    assert rows[2]["models"] == "lenet-28 + lenet5"


def test_details_hold_recipe_networks_and_a_note(three_runs, capfd):
    found = leaderboard.run_details("strong", note="the first good one")
    assert found["note"] == "the first good one"
    assert found["recipe"]["epochs"] == RECIPES["lenet5"].epochs
    assert [own["name"] for own in found["members"]] == ["lenet5-seed2"]
    leaderboard.show_details(found)
    out = capfd.readouterr().out
    for word in ("the first good one", "lenet5-seed2", "61,706", "train.csv", f"epochs {RECIPES['lenet5'].epochs}"):
        assert word in out
    assert json.loads(json.dumps(found)) == found


def test_an_empty_ledger_is_no_error(workplace, capfd):
    leaderboard.show_board(leaderboard.leaderboard())
    assert "digits run" in capfd.readouterr().out


def test_a_recipe_that_this_version_refuses_is_shown_as_it_stands(three_runs, capfd):
    with run_session.ledger() as book:
        run = book.run("last")
        recipe = json.loads(run["recipe"]) | {"model": "lenet5-1998", "batch_norm": True}
        book.update_run(run["id"], recipe=recipe)
    assert "refuses" in leaderboard.leaderboard(sort="newest")[0]["differences"]
    leaderboard.show_details(leaderboard.run_details("last"))
    assert "lenet5-1998" in capfd.readouterr().out
