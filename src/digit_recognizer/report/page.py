"""The report as one HTML page with embedded style, script and images; its content security policy forbids others."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from digit_recognizer.report.gather import gather
from digit_recognizer.report.run_section import data_uri
from digit_recognizer.tracking.run_record import RunRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.files import check_target, write_atomically

HERE = Path(__file__).parent


def write_report(
    path: Path, workspace: Workspace, words: Sequence[str] = (), data: Path | None = None, studies: Sequence[Any] = ()
) -> list[str]:
    """Write the report of `gather` and return a warning for each missing part.

    Raises InputError as `gather` does and for a `path` that cannot be written, RunError on failure.
    """
    record = gather(workspace, words, data, studies)
    check_target(path, ".html")
    write_atomically(path, render(record))
    return [
        f"part of run {part['run'].short_name} is missing from the report. {missing}"
        for part in record["runs"]
        for missing in part["missing"]
    ]


def render(record: dict[str, Any]) -> bytes:
    """Returns the page, in UTF-8, for the record that `gather` returns. All texts are escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = environment.get_template("page.html")
    return template.render(**record, style=style, script=script, policy=policy).encode()


def notebook_html(run: RunRecord) -> str:
    """The validation metrics, learning curves and most challenging digits of a run, for a notebook."""
    table = "<p>No validation.</p>"
    if found := run.validation:
        cells = {
            "held-out rows": f"{found.n:,}",
            "validation accuracy": f"{found.accuracy:.4f}",
            "95 % interval": "{:.4f} to {:.4f}".format(*found.interval),
            "log-loss": f"{found.log_loss:.4f}",
        }
        table = pd.DataFrame([cells]).to_html(index=False, border=0)
    images = ""
    for title in ("Learning curves", "Challenging digits"):
        file = run.folder / f"{title.lower().replace(' ', '-')}.png"
        if file.is_file():
            images += f'<p><img alt="{title}" style="max-width: 100%" src="{data_uri(file.read_bytes())}"></p>'
    return f"<p><b>{escape(run.name)}</b></p>{table}{images}"


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
