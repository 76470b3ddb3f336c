"""The entry point of `longexpo` and of `python -m longexpo_cli`."""

import sys

from longexpo_cli import crash_guard


def main() -> None:
    """Run the command line and exit with its code, where it decodes files in a process that is watched."""
    if crash_guard.is_needed(sys.argv[1:]):
        sys.exit(crash_guard.supervise(sys.argv[1:]))
    crash_guard.enable_from_environment()
    from longexpo_cli.cli import longexpo

    longexpo(prog_name="longexpo")


if __name__ == "__main__":
    main()
