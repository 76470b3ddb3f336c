"""Time and memory are added to the stage that took them."""

from __future__ import annotations

import subprocess
import sys
import time

from longexpo_cli.observers.clock import Clock


def test_time_goes_to_the_stage_that_made_the_value() -> None:
    clock = Clock()
    clock.on_value("load", 1, None)
    time.sleep(0.05)
    clock.on_value("blur", 2, 0)
    clock.on_value("blur", 3, 1)
    clock.on_value("write", 4, None)
    assert list(clock.spent) == ["load", "blur", "write"]
    assert 0.05 <= clock.spent["blur"].seconds < 0.5
    assert clock.spent["write"].seconds < 0.05
    assert clock.seconds == sum(entry.seconds for entry in clock.spent.values())


HOLD_128_MIB = """
import numpy as np
from longexpo_cli.observers.clock import Clock, peak_bytes, resident_bytes
clock = Clock()
held = np.ones(1 << 24)
clock.on_value("develop", held, 0)
del held
clock.on_value("write", None, None)
print(clock.spent["develop"].peak_bytes, clock.spent["write"].peak_bytes, resident_bytes(), peak_bytes())
"""


def test_memory_is_that_of_the_stage() -> None:
    """In a process of its own: here, other tests' threads allocate and release memory."""
    result = subprocess.run([sys.executable, "-c", HOLD_128_MIB], capture_output=True, text=True, check=True)
    with_array, after, resident, peak = map(int, result.stdout.split())
    assert with_array - after > 100 << 20
    assert 0 < after <= resident + (20 << 20)
    assert peak > with_array - (1 << 20)  # the kernel counts pages in batches
