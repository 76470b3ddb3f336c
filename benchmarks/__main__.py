"""`python -m benchmarks`: every figure, best read as ratios."""

from __future__ import annotations

from benchmarks import blur, paths, quality, speed

for part in (quality, paths, blur, speed):
    part.main()
