"""Figures the project answers for, measured: `make bench`."""
