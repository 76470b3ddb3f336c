"""The entry point of `longexpo` and of `python -m longexpo_cli`."""

from longexpo_cli.cli import longexpo


def main() -> None:
    """Run the command line and exit with its code."""
    longexpo(prog_name="longexpo")


if __name__ == "__main__":
    main()
