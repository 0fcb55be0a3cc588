"""`digits report`: the page shows the ledger and works in a browser."""

import base64
import html
import os
import re
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from browser import BROWSER, DRIVER, chromium, requested_urls
from digit_recognizer import blending, cli
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.significance import holm
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.report import page, run_section
from digit_recognizer.report.gather import gather
from digit_recognizer.tracking import compare
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.tuning.results import summaries
from digit_recognizer.training.tuning.storage import storage
from finished_runs import make_finished_run, write_data

HISTORY = "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds\n1,1.5,0.6,1.2,0.7,1\n2,0.3,0.93,0.4,0.9,2\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with runs, one of them with two networks, and two public scores; the names of runs; the page."""
    workspace = Workspace(tmp_path_factory.mktemp("report"))
    answers = write_data(workspace)
    names = [
        make_finished_run(workspace, name, answers, strength, seed)
        for seed, (name, strength) in enumerate([("good", 4), ("poor", 2)])
    ]
    names.append(make_finished_run(workspace, "all-rows", answers, 4, 5, rows=np.arange(0)))
    for seed in (0, 1):
        inner = make_finished_run(workspace, f"inner{seed}", answers, 2.5, 10 + seed)
        member = workspace.submissions / names[0] / "members" / f"lenet5-seed{seed}"
        shutil.copytree(workspace.submissions / inner, member)
        (member / "history.csv").write_text(HISTORY)
    with workspace.open_ledger() as ledger:
        ledger.update_run(ledger.run("good").id, note="<script>alert('note')</script> & more")
        for name, public in ((names[0], 0.99), (names[1], 0.97)):
            hash = ledger.run(name).submission_hash
            entry = ledger.begin_submission(hash=hash, file="", description="", status="PENDING")
            ledger.update_submission(entry, status="COMPLETE", public_score=public)
    return workspace, names, page.render(gather(workspace)).decode()


def copied(workspace, folder):
    """A copy of the workspace that a test may change."""
    return Workspace(shutil.copytree(workspace.folder, folder))


def test_the_page_has_every_part(finished):
    _, _, text = finished
    for part in (
        "Leaderboard",
        "Significance",
        "Validation accuracy and public score",
        "Learning curves",
        "Augmentation",
        "Confusion matrix",
        "Calibration",
        "The most challenging digits",
        "Likely label errors",
        "Model disagreement",
        "Train and test",
    ):
        assert f"{part}</h" in text or f">{part}" in text


def test_notes_are_escaped(finished):
    _, _, text = finished
    assert "&lt;script&gt;alert" in text
    assert "<script>alert" not in text


def test_the_page_has_no_external_references_and_a_strict_policy(finished):
    _, _, text = finished
    assert set(re.findall(r'(?:src|href)="([^"]{1,5})', text)) <= {"data:", "#boar", "#comp", "#publ", "#run-"}
    assert "default-src &#39;none&#39;" in text
    assert " style=" not in text


def test_the_page_has_the_values_of_the_ledger(finished):
    workspace, names, text = finished
    record = gather(workspace, names[:1])
    [part] = record["runs"]
    validation = part["validation"]
    assert validation["score"].correct == part["run"].correct
    assert f"{validation['score'].accuracy:.4f}" in text
    assert len(validation["hardest"]) == run_section.N_GALLERY
    assert [vote["name"] for vote in validation["hardest"][0]["votes"]] == ["lenet5-seed0", "lenet5-seed1"]
    assert part["disagreement"]["n_networks"] == 2
    dissent = [digit["dissent"] for digit in part["disagreement"]["digits"]]
    assert dissent == sorted(dissent, reverse=True)
    assert [sum(one) for one in part["balance"]["percentages"]] == pytest.approx([100, 100])


def test_the_page_and_the_terminal_show_the_same_leaderboard(finished, capfd):
    workspace, _, text = finished
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--workspace", str(workspace.folder), "leaderboard"])
    lines = capfd.readouterr().out.splitlines()
    board = text[text.index('id="board"') :]
    board = board[: board.index("</table>")]
    titles = re.findall("<th[^>]*>([^<]+)</th>", board)
    assert re.split(" {2,}", lines[0]) == titles
    assert titles[:3] == ["#", "name", "accuracy"]
    rows = [re.findall("<td[^>]*>([^<]*)</td>", row) for row in board.split("<tr>")[2:]]
    assert len(rows) == 5
    assert [re.split(" {2,}", line.strip()) for line in lines[1:6]] == [list(map(html.unescape, row)) for row in rows]


def test_named_runs_are_shown_and_compared(finished):
    workspace, _, _ = finished
    record = gather(workspace, ["poor", "good"])
    assert [part["run"].short_name for part in record["runs"]] == ["poor", "good"]
    assert [(pair["first"], pair["second"]) for pair in record["comparisons"]] == [("poor #2", "good #1")]
    with pytest.raises(InputError, match="no run 'nope'"):
        gather(workspace, ["nope"])


def test_p_values_are_corrected_for_the_number_of_pairs(finished):
    workspace, _, _ = finished
    pairs = [pair for pair in gather(workspace)["comparisons"] if not pair["reason"]]
    alone = [
        compare.compare_runs_or_files(*(pair[side].split(" #")[1] for side in ("first", "second")), workspace).p_value
        for pair in pairs
    ]
    assert len(pairs) > 2
    assert [pair["p_value"] for pair in pairs] == holm(alone)
    assert all(f"p = {pair['p_value']:.2g}" in pair["verdict"] for pair in pairs)


def test_a_blend_shows_the_predictions_of_each_run_with_a_weight(finished, tmp_path):
    original, names, _ = finished
    workspace = copied(original, tmp_path / "blended")
    blended = blending.blend_runs(names[:2], workspace, "equal", "mix")
    [part] = gather(workspace, [blended.run])["runs"]
    assert part["disagreement"]["n_networks"] == 2
    assert [vote["name"] for vote in part["validation"]["hardest"][0]["votes"]] == ["good", "poor"]
    with workspace.open_ledger() as ledger:
        recipe = {"weights": "greedy", "runs": {names[0]: 1.0, names[1]: 0.0}}
        ledger.update_run(ledger.run("mix").id, recipe=recipe)
    [part] = gather(workspace, [blended.run])["runs"]
    assert [vote["name"] for vote in part["validation"]["hardest"][0]["votes"]] == ["good"]


def test_each_augmentation_is_shown_once_with_its_models(finished):
    workspace, _, _ = finished
    members = [{"model": "lenet-28"}, {"model": "wide-cnn", "rotate": 9}, {"model": "lenet5"}, {"shift": 0}]
    with workspace.open_ledger() as ledger:
        run = ledger.run("good")
    table = compare.train_table_of([run], None)
    ensemble = asdict(change(RECIPES["plain-lenet5"], {"shift": 3, "members": members}))
    shown = run_section._augmented(replace(run, recipe_fields=ensemble), table)
    assert [(one["models"], one["limits"]["shift"], one["limits"]["rotate"]) for one in shown] == [
        ("lenet-28, lenet5", 3, 0),
        ("wide-cnn", 3, 9),
    ]
    assert run_section._augmented(replace(run, recipe_fields={"model": "of tomorrow"}), table) == []


def test_missing_parts_have_messages(finished, monkeypatch, tmp_path, capsys):
    original, names, _ = finished
    record = gather(original, ["all-rows"])
    assert record["runs"][0]["validation"] is None
    assert b"held out no rows" in page.render(record)
    workspace = copied(original, tmp_path / "copy")
    monkeypatch.setenv("DIGITS_WORKSPACE", str(workspace.folder))
    (workspace.submissions / names[0] / "probabilities.npz").unlink()
    [part] = gather(workspace, ["good"])["runs"]
    assert "probabilities.npz: not found" in part["missing"][0]
    half, huge = HISTORY.replace("0.7,1", ",1"), HISTORY.replace("1.5", "1e308")
    for damaged in (
        "",
        "a,b\n",
        HISTORY[:-3],
        HISTORY.replace("0.3", "nan"),
        HISTORY.replace("\n2", "\n3"),
        half,
        huge,
    ):
        (workspace.submissions / names[1] / "history.csv").write_text(damaged)
        [part] = gather(workspace, ["poor"])["runs"]
        assert (part["curves"], "history.csv: not the history" in part["missing"][0]) == (None, True)
        assert part["validation"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["report", "poor"])
    assert "part of run poor is missing" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit, match="2"):
        cli.main(["report", "--data", "elsewhere.zip"])
    assert "elsewhere.zip: not found" in capsys.readouterr().err
    (workspace.submissions / names[1] / "history.csv").unlink()
    shutil.rmtree(workspace.data)
    [part] = gather(workspace, ["poor"])["runs"]
    assert f"{workspace.data}: not found" in part["missing"][0]
    page.render(gather(workspace, ["good", "poor"]))


def test_a_sweep_shows_its_best_trials_and_the_importance_of_fields(finished, tmp_path):
    original, _, _ = finished
    workspace = copied(original, tmp_path / "swept")
    sweeps = workspace.sweeps
    sweeps.mkdir()
    study = optuna.create_study(storage=storage(sweeps / "wide.journal"), study_name="wide", direction="maximize")
    study.set_user_attr("begun", {"objective": "accuracy"})
    for number in range(12):
        trial = study.ask()
        rate, shift = trial.suggest_float("learning_rate", 0.001, 0.1, log=True), trial.suggest_int("shift", 0, 3)
        trial.set_user_attr("run", f"wide-{number}")
        study.tell(trial, 0.9 + shift / 100 + rate / 1000)
    unsigned = optuna.create_study(storage=storage(sweeps / "unsigned.journal"), study_name="unsigned")
    unsigned.tell(unsigned.ask(), 0.5)
    (sweeps / "broken.journal").write_text("no journal\n")
    broken, unsigned, found = gather(workspace, studies=summaries(sweeps))["studies"]
    assert "no study 'unsigned'" in unsigned.error
    assert "no study 'broken'" in broken.error
    assert tuple(found.importance) == ("shift", "learning_rate")
    best = found.results.ranked
    text = page.render(gather(workspace, studies=summaries(sweeps))).decode()
    assert "Sweep wide" in text
    assert all(f"<td>{trial.run}</td>" in text for trial in best[:10])
    assert not any(f"<td>{trial.run}</td>" in text for trial in best[10:])
    assert "objective is the cross-validated accuracy" in text


def test_a_report_requires_a_finished_run(workspace):
    with pytest.raises(InputError, match="no ledger there"):
        gather(workspace)
    with workspace.open_ledger():
        pass
    with pytest.raises(InputError, match="no finished run"):
        gather(workspace)


def test_200_runs_with_2000_networks_are_reported_in_seconds(finished, tmp_path):
    original, names, _ = finished
    workspace = copied(original, tmp_path / "many")
    with workspace.open_ledger() as ledger:
        poor = ledger.run("poor")
        columns = {name: getattr(poor, name) for name in STORED} | {"recipe": dict(poor.recipe_fields)}
        result = {"n": 1200, "loss": 0.1, "submission_hash": poor.submission_hash, "estimate": "out-of-fold"}
        for number in range(200):
            run_id = ledger.start_run(name=f"copy-{number}", **columns)
            ledger.finish_run(run_id, "done", correct=900 + number, **result)
            shutil.copytree(workspace.submissions / names[1], workspace.submissions / f"copy-{number}")
            for fold in range(10):
                ledger.add_network(run_id, name=f"fold{fold}", **NETWORK)
    start = time.perf_counter()
    text = page.render(gather(workspace))
    assert time.perf_counter() - start < 5
    assert text.count(b"copy-") >= 200


STORED = ("kind", "recipe_name", "data", "source", "train_hash", "test_hash", "versions", "cpu", "threads")
NETWORK = {"model": "lenet5", "seed": 0, "weights": 9, "train_n": 9, "train_accuracy": 1, "train_loss": 0, "seconds": 1}


# In a browser


@pytest.fixture(scope="module")
def browser(finished, tmp_path_factory):
    """A headless Chromium that shows the page."""
    if not BROWSER or not DRIVER:
        pytest.skip("chromium or chromedriver is not installed")
    workspace, _, text = finished
    file = workspace.folder / "report.html"
    file.write_text(text, encoding="utf-8")
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.get(file.as_uri())
        yield driver


def test_the_page_makes_no_requests_and_logs_no_errors(browser):
    assert requested_urls(browser) == [browser.current_url]
    assert browser.get_log("browser") == []


def column(browser, table, index):
    return [row.find_elements("tag name", "td")[index].text for row in table.find_elements("css selector", "tbody tr")]


def test_clicks_on_a_column_head_sort_and_reverse_the_table(browser):
    table = browser.find_element("css selector", "#board + .wide table")
    head = table.find_elements("tag name", "th")[4]
    head.click()
    assert column(browser, table, 4)[:2] == ["0.97000", "0.99000"]
    head.click()
    assert column(browser, table, 4)[:2] == ["0.99000", "0.97000"]
    table.find_elements("tag name", "th")[1].click()
    assert column(browser, table, 1) == sorted(column(browser, table, 1))


def test_the_gallery_shows_only_the_chosen_digit(browser):
    gallery = browser.find_element("css selector", ".gallery[id^=hardest]")
    images = gallery.find_elements("tag name", "figure")
    digits = [image.get_attribute("data-digit") for image in images]
    chosen = digits[0]
    choice = browser.find_element("css selector", f"fieldset[data-gallery={gallery.get_attribute('id')}]")
    choice.find_element("css selector", f"button[value='{chosen}']").click()
    assert [image.is_displayed() for image in images] == [digit == chosen for digit in digits]
    choice.find_element("css selector", "button[value='']").click()
    assert all(image.is_displayed() for image in images)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.find_element("css selector", ".gallery img").is_displayed()
    if folder := os.environ.get("DIGITS_SCREENSHOTS"):
        picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        Path(folder, f"report-{width}.png").write_bytes(base64.b64decode(picture["data"]))


def test_the_page_follows_the_preferred_colour_scheme(browser):
    def brightness():
        colour = browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    for scheme, dark in (("dark", True), ("light", False)):
        emulated = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        assert (brightness() < 200) == dark
