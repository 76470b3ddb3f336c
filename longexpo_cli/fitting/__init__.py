"""Solvers for the alignment: values in, maps out. Coordinates are centred and divided by the diagonal."""
