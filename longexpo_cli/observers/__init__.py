"""What watches the pipeline: each receives values that exist already and changes none."""
