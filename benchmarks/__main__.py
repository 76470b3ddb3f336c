"""`python -m benchmarks`: every figure, best read as ratios."""

from __future__ import annotations

from benchmarks import quality, speed

quality.main()
speed.main()
