"""Hostile texts in every field of the ledger, shown in a real browser, in the exported CSV and on the terminal."""

import csv
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from browser import BROWSER, DRIVER, chromium, requested_urls
from digit_recognizer import cli
from digit_recognizer.report import gather, leaderboard, page
from digit_recognizer.tracking.workspace import Workspace
from finished_runs import make_finished_run, write_data

from .processes import run_process

PROMISE = "texts in the report and in exports run no code and make no requests"
CASES = "hostile texts, each in all fields at once"
GOAL = 500

HIT = "window.hit=1"
VECTORS = (
    f"<script>{HIT}</script>",
    f"<img src=x onerror={HIT}>",
    f"<svg onload={HIT}>",
    f"<body onpageshow={HIT}>",
    f"<details open ontoggle={HIT}>",
    f"<input autofocus onfocus={HIT}>",
    f"<iframe srcdoc='<script>parent.{HIT}</script>'></iframe>",
    f"<iframe src='javascript:parent.{HIT}'></iframe>",
    f"<a href='javascript:{HIT}'>x</a>",
    f"<style>@import '//evil.invalid/x.css';</style><script>{HIT}</script>",
    "<link rel=stylesheet href=//evil.invalid/x.css>",
    "<img src=//evil.invalid/x.png>",
    "<base href=//evil.invalid/>",
    "<meta http-equiv=refresh content='0;url=//evil.invalid'>",
    "<object data=//evil.invalid/x></object><embed src=//evil.invalid/y>",
    "<form action=//evil.invalid><input type=submit></form>",
    f"{{{{ ''.__class__.__mro__ }}}}{{% set x = {HIT} %}}",
    f"${{{HIT}}}`-{HIT}-`",
    '=HYPERLINK("//evil.invalid")',
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\x1b]0;title\x07\x1b[2J\x1b[31m",
    "\u202e\u2066gnp.exe\u2069",
    "[red]x[/red][link=//evil.invalid]y[/link]",
    "a\r\nb\nc",
)
KEYS = {"name", "kind", "status", "recipe", "train_hash", "test_hash", "submission_hash", "hash"}
OBJECTS = {"versions", "settings"}
BEFORE = ("", '"', "'", '">', "'>", "</script>", "</style>", "</td>", "-->", "]]>", "&lt;", "\\", "x ")


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    assert BROWSER, "no chromium on this machine"
    assert DRIVER, "no chromedriver on this machine"
    workspace = Workspace()
    answers = write_data(workspace)
    for seed, name in enumerate(("good", "poor")):
        make_finished_run(workspace, name, answers, 4 - seed, seed)
    with ExitStack() as stack:
        yield partial(trial, Path.cwd(), stack.enter_context(chromium(Path(os.environ["TMPDIR"], "profile"))))


def trial(original: Path, driver: Any, number: int) -> None:
    random = Random(number)
    text = random.choice(BEFORE) + VECTORS[number % len(VECTORS)] + random.choice(("", "-->", '"', "'", "/*"))
    shutil.copytree(original, Path(), dirs_exist_ok=True)
    _fill(text)
    for named in ((), ("last",)):
        _look(driver, page.render(gather.gather(Workspace(), named)), text)

    exported = leaderboard.to_csv(leaderboard.leaderboard(Workspace(), every=True))
    cells = [cell for row in csv.reader(io.StringIO(exported)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r", "-")) and not _is_number(cell)]
    output = Path("output")
    for command in (["leaderboard"], ["show", "last"], ["plan"]):
        code = run_process(partial(cli.main, command), output=output)
        assert code == 0, output.read_text()
        printed = output.read_text()
        assert not {"\x1b", "\x07", "\u202e"} & set(printed), f"{command} let {text!r} through"


def _fill(text: str) -> None:
    """Write a text into each text column of the ledger, except keys and columns with a fixed format."""
    with Workspace().open_ledger() as ledger:
        for run in ledger.runs():
            sent = ledger.begin_submission(hash=run.submission_hash, file="", description="", status="UPLOADING")
            ledger.update_submission(sent, status="COMPLETE", public_score=0.9)
            ledger.add_score(hash=run.submission_hash, file="", answers_hash="", n=10, correct=9)
    with closing(sqlite3.connect(Workspace().ledger_file)) as connection, connection:
        for table in ("runs", "members", "submissions", "submission_states", "scores"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[2] == "TEXT"]
            values = {column: text for column in columns if column not in KEYS}
            values |= {column: json.dumps({"keras": text, text: text}) for column in columns if column in OBJECTS}
            sets = ", ".join(f"{column} = :{column}" for column in values)
            connection.execute(f"UPDATE {table} SET {sets}", values)


def _look(driver: Any, content: bytes, text: str) -> None:
    file = Path("report.html").absolute()
    file.write_bytes(content)
    driver.get(file.as_uri())
    assert driver.execute_script("return window.hit") is None, f"ran: {text!r}"
    assert driver.current_url == file.as_uri(), f"left the page: {text!r}"
    for element in driver.find_elements(
        "css selector", "iframe, object, embed, base, form, link, meta[http-equiv=refresh]"
    ):
        raise AssertionError(f"active element: {element.tag_name} of {text!r}")
    assert requested_urls(driver) == [file.as_uri()], f"made a request: {text!r}"
    assert driver.get_log("browser") == [], f"browser error: {text!r}"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
