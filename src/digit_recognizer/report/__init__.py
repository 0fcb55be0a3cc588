"""`digits report`: one self-contained HTML page from the ledger and the run folders.

`records` gathers plain values, `charts` turns them into coordinates, `page` fills the template; no markup in Python.
"""
