"""The entry point of `longexpo` and of `python -m longexpo_cli`."""

import os
import sys

from longexpo_cli import crash_guard


def main() -> None:
    """Run the command line and exit with its code, where it decodes files in a process that is watched."""
    # Read when NumPy is imported. Our matrices are small, and idle threads of OpenBLAS spin: 2 % of a render.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if crash_guard.is_needed(sys.argv[1:]):
        sys.exit(crash_guard.supervise(sys.argv[1:]))
    crash_guard.enable_from_environment()
    from longexpo_cli.cli import longexpo

    longexpo(prog_name="longexpo")


if __name__ == "__main__":
    main()
