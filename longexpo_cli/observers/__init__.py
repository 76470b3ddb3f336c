"""Observers of the pipeline: each receives the values that the stages make and changes none."""
