"""Sweeps: recipes drawn by Optuna, each trained as a run."""
