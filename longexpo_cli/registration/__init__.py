"""Registration of a burst from feature tracks: motion segmentation, map solvers, mesh, frame rejection."""
