"""Networks trained side by side: processes of this machine, or workers of a Dask cluster."""
