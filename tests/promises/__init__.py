"""The promises of docs/reliability.md. Each is a module whose trials, numbered from 0, are cases of it.

A module has PROMISE and CASES in words, GOAL, how many are wanted, and `trial(number)`, which runs in an empty folder
and raises AssertionError when the promise is broken; or, where something is to be made ready for all trials,
`opened()`, a context that yields such a function. The same number is the same case. `python -m promises 3:50`, in
tests/, runs some; the test suite runs a few of each, `benchmarks/soak.py` as many as there is time for.
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
