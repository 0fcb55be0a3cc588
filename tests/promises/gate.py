"""Valid submissions, and ones that Kaggle would refuse or score 0, for which no request may be made."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np

import kaggle_stand_in
from digit_recognizer.competition import submit
from digit_recognizer.data.submission import check_upload, render
from digit_recognizer.tracking.workspace import Workspace

from . import sent_once
from .processes import refusal

PROMISE = "a file that Kaggle would refuse or score 0 is never uploaded"
CASES = "files, of which one in eleven is valid"
GOAL = 5_500

N_ROWS = sent_once.N_TEST
GOOD_EVERY = 11


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    with sent_once.flaky_kaggle(os.getcwd()) as kaggle:
        yield lambda number: trial(number, kaggle)


def trial(number: int, kaggle: kaggle_stand_in.StandIn) -> None:
    random = Random(number)
    good = render(np.array([0, 1, *(random.randrange(10) for _ in range(N_ROWS - 2))]))
    if number % GOOD_EVERY == 0:
        check_upload(good, "mine.csv", N_ROWS)
        return
    bad = good
    while is_fit(bad, N_ROWS):
        bad = random.choice(FAULTS)(good, random) if random.random() < 0.7 else mutated(good, random)
    sent_once.write_data()
    Path("bad.csv").write_bytes(bad)
    message = refusal(lambda: submit.submit_file(Path("bad.csv"), Workspace()))
    assert message.startswith("bad.csv"), message
    assert not kaggle.requests, kaggle.requests


def is_fit(data: bytes, n_rows: int) -> bool:
    """An independent check: a line for each image, and more than one label."""
    lines = [f"{image_id},".encode() for image_id in range(1, n_rows + 1)]
    pattern = b"ImageId,Label\n" + b"".join(re.escape(line) + b"([0-9])\n" for line in lines)
    match = re.fullmatch(pattern, data)
    return bool(match) and len(set(match.groups())) > 1


def mutated(data: bytes, chance: Random) -> bytes:
    """One to three random changes: bytes changed, removed, added; lines removed, doubled, swapped; other line ends."""
    for _ in range(chance.randint(1, 3)):
        lines = data.splitlines(keepends=True) or [b""]
        at, line = chance.randrange(len(data) + 1), chance.randrange(len(lines))
        byte = chance.choice([b"0", b"7", b",", b"\n", b"\r", b'"', b".", b" ", b"\x00", b"\xff", b"-", b"9"])
        other = chance.randrange(len(lines))
        swapped = lines.copy()
        swapped[line], swapped[other] = swapped[other], swapped[line]
        data = chance.choice(
            [
                data[:at] + byte + data[at:],
                data[:at] + byte + data[at + 1 :],
                data[:at] + data[at + 1 :],
                data[:at],
                b"".join(lines[:line] + lines[line + 1 :]),
                b"".join([*lines[: line + 1], *lines[line:]]),
                b"".join(swapped),
                data.replace(b"\n", b"\r\n"),
                data.replace(b",", b";"),
                b"\xef\xbb\xbf" + data,
            ]
        )
    return data


def _label(text: str) -> Callable[[bytes, Random], bytes]:
    """A fault: one row's label is `text`."""

    def change(data: bytes, random: Random) -> bytes:
        lines = data.split(b"\n")
        row = random.randint(1, len(lines) - 2)
        lines[row] = lines[row].split(b",")[0] + b"," + text.encode()
        return b"\n".join(lines)

    return change


def _ids(renumber: Callable[[int], int]) -> Callable[[bytes, Random], bytes]:
    def change(data: bytes, random: Random) -> bytes:
        header, *rows, end = data.split(b"\n")
        return b"\n".join([header, *(b"%d,%s" % (renumber(i), row.split(b",")[1]) for i, row in enumerate(rows)), end])

    return change


FAULTS: list[Callable[[bytes, Random], bytes]] = [
    *(_label(text) for text in ("", "10", "-1", "3.0", "7.5", "nan", "None", "seven", " 7", "07", "7e0", "True", "７")),
    *(_ids(renumber) for renumber in (lambda i: i, lambda i: i + 2, lambda i: i // 2 + 1, lambda i: i + 28_001)),
    lambda data, random: data.replace(b"ImageId", b"Id"),
    lambda data, random: data.replace(b"Label", b"label"),
    lambda data, random: data.split(b"\n", 1)[1],
    lambda data, random: data.replace(b"\n", b",0\n"),
    lambda data, random: b"," + data.replace(b"\n", b"\n0,")[:-2],
    lambda data, random: data[: random.randrange(len(data))],
    lambda data, random: data + data,
    lambda data, random: data + b"%d,3\n" % data.count(b"\n"),
    lambda data, random: re.sub(rb",[0-9]\n", b",3\n", data),
    lambda data, random: data.decode().encode("utf-16"),
    lambda data, random: data.replace(b",", b"\t"),
    lambda data, random: b"<html><body>Please log in</body></html>",
    lambda data, random: b"",
]
