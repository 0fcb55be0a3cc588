"""Kaggle's Digit Recognizer, from train.csv to a scored submission. ARCHITECTURE.md is the map."""

__version__ = "0.1.0"
