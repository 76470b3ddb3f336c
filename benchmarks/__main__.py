"""`python -m benchmarks`: every figure, best read as ratios."""

from __future__ import annotations

from benchmarks import blur, edges, paths, quality, speed

for part in (quality, paths, edges, blur, speed):
    part.main()
