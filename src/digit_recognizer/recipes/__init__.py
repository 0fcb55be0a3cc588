"""Recipes: every setting of a training in one record, by name or from a TOML file."""
