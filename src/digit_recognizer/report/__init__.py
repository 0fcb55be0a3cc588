"""`digits report`: one self-contained HTML page from the ledger and the run folders.

`gather` and `run_section` collect the content, `plots` draws, and `page` fills the template.
"""
