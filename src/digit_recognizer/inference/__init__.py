"""The networks of a finished run: loaded, exported, and applied to any number of images."""
