"""Observers of the pipeline: each receives every value that a stage returns and changes none."""
