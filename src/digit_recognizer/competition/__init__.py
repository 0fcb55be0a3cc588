"""Kaggle: the client in its child process, downloads, submissions, the plan, notebooks."""
