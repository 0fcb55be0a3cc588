"""The comparison with public trainings computes its tables correctly, and its runs have all columns."""

import json

import numpy as np
import pytest

import figures
import peers
import standings
from digit_recognizer.data import sample
from public import PEERS

RATE = 100
ENDS = [{"seconds": 2.0, "accuracy": 0.97}, {"seconds": 3.0, "accuracy": 0.985}, {"seconds": 5.0, "accuracy": 0.9}]
RUN = {
    "name": "quick",
    "seed": 5,
    "weights": 61_706,
    "multiply_adds": 1_000,
    "accuracy": 0.991,
    "loss": 0.1,
    "train": 6.0,
    "to_submission": 9.0,
    "peak_mb": 1536,
    "epochs": ENDS,
    "matrix_gflops": RATE,
    "machine": "2 cores",
    "date": "2026-11-21",
}


def test_a_goal_is_reached_when_no_later_epoch_falls_below_it_and_the_final_accuracy_replaces_the_last_epochs():
    steady = RUN | {"epochs": [*ENDS[:2], ENDS[2] | {"accuracy": 0.985}]}
    assert [standings.seconds_to(goal, steady) for goal in (0.97, 0.98, 0.99, 0.995)] == [2, 3, 6, np.inf]
    unsteady = RUN | {"epochs": [*ENDS, ENDS[2] | {"seconds": 6.0}]}
    assert [standings.seconds_to(goal, unsteady) for goal in (0.97, 0.98)] == [6, 6]


def test_a_row_has_medians_and_the_standard_deviation_of_the_accuracy():
    row = standings.cells("quick", [RUN, RUN | {"accuracy": 0.993, "train": 8.0}], RATE)
    assert (row["validation accuracy"], row["n"], row["training, s"]) == ("0.9920 ± 0.0014", "2", "7.0")
    assert (row["s to 0.98"], row["s to 0.994"], row["peak, GB"]) == ("3.0", "–", "1.5")
    speed = 37_800 / 1.5  # the median epoch after the first
    assert row["images/s"] == f"{speed:,.0f}"
    assert row["share of matrix rate"] == f"{6 * 1_000 * speed / 1e9 / RATE:.0%}"


def test_runs_of_several_networks_have_no_throughput():
    row = standings.cells("committee", [RUN | {"epochs": []}], RATE)
    assert [row[name] for name in ("images/s", "GFLOP/s", "share of matrix rate")] == ["–"] * 3
    assert (row["s to 0.99"], row["training, s"]) == ("6.0", "6.0")


def test_only_missing_runs_are_made_and_slow_peers_for_fewer_seeds():
    slow = next(name for name in PEERS if PEERS[name].seeds == 1)
    assert peers.to_make(["quick", slow], 2, [RUN]) == [(5, slow), (6, "quick")]


def test_a_table_is_written_between_its_comments_or_not_at_all(tmp_path):
    file = tmp_path / "page.md"
    begin, end = "<!-- peers: written by benchmarks/peers.py -->", "<!-- end of peers -->"
    file.write_text(f"above\n{begin}\nold\n{end}\nbelow\n")
    figures.write_between(file, "peers", "new")
    assert file.read_text() == f"above\n{begin}\nnew\n{end}\nbelow\n"
    for damaged in ("above", f"above\n{begin}\nold", f"{begin}{end}{begin}{end}"):
        file.write_text(damaged)
        with pytest.raises(SystemExit, match="once"):
            figures.write_between(file, "peers", "new")
        assert file.read_text() == damaged


def test_runs_are_stored_one_per_line():
    runs = [RUN | {"name": "lenet5"}, RUN, RUN | {"seed": 6}]
    assert json.loads(peers.as_text(runs)) == runs
    assert len(peers.as_text(runs).splitlines()) == 2 + len(runs)


def test_each_machine_has_its_own_table_and_the_one_with_the_most_runs_comes_first():
    faster = [RUN | {"machine": "1 machine", "matrix_gflops": 10 * RATE, "accuracy": 0.5}]
    runs = [*faster, RUN, RUN | {"name": "lenet5"}]
    own, other = (standings.table(of_one) for of_one in standings.by_machine(runs))
    assert own.endswith("2 cores; 2026-11-21.")
    assert other.endswith("1 machine; 2026-11-21.")
    assert own.index("`quick`") < own.index("`lenet5`")
    assert "`lenet5`" not in other
    both = standings.full_tables(runs)
    assert both.startswith(f"{own} Matrix rate: {RATE} GFLOP/s")
    assert f"{other} Matrix rate: {10 * RATE} GFLOP/s" in both


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick", "one-epoch net, 1 epoch"])
def test_recipes_and_peers_return_the_same_fields(name, workspace):
    sample.write_sample(workspace.data / "sample")
    found = peers.measure(name, 5, workspace.data / "sample")
    assert set(found) == set(RUN) - {"name", "matrix_gflops", "machine", "date"}
    assert 0 < found["accuracy"] <= 1
    assert found["epochs"][-1]["seconds"] <= found["train"] < found["to_submission"]
