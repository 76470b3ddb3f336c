"""Mutants of frame files: what is read of damaged files, and whether it is said (python -m tests.fuzz)."""
