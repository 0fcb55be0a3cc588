"""The ledger and the run folders: what was run, with which settings and results."""
