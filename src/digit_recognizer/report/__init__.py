"""`digits report`: one self-contained HTML page from the ledger and the run folders.

`gather` collects plain values, `charts` converts them to coordinates, `page` fills the template; no markup in Python.
"""
