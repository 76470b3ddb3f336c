"""Benchmarks of quality, speed and memory: `make bench` writes their results to RESULTS.md."""
