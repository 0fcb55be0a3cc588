"""The guarantees of docs/reliability.md, one module each, tested by numbered trials.

A module has the texts PROMISE and CASES, the number of trials GOAL, and `trial(number)`, which runs in an empty folder
and raises AssertionError when the guarantee is broken; modules with a common preparation have instead `setup()`, a
context manager that yields such a function. The same number gives the same case. `python -m promises 3:50`, in tests/,
runs some; the test suite runs a few of each, `benchmarks/soak.py` as many as fit into its time.
"""

PROMISES = {
    1: "sent_once",
    2: "gate",
    3: "killed",
    4: "same_bits",
    5: "bad_data",
    6: "full_disk",
    7: "damage",
    8: "acknowledged",
    9: "canary",
    10: "foreign_files",
    11: "not_a_number",
    12: "any_order",
    13: "terminated",
    14: "inert",
    15: "supply",
}
