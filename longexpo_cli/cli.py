"""The command group. Errors become exit codes here and nowhere else."""

from __future__ import annotations

import codecs
import contextlib
import gc
import io
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from longexpo_cli.commands import COMMANDS
from longexpo_cli.errors import LongexpoError, RecipeError, is_out_of_memory, user_message
from longexpo_cli.version import __version__

FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class Terminated(KeyboardInterrupt):
    """The program was asked to end (SIGTERM): it is unwound like an interrupt, to leave no partial files."""


class Commands(click.Group):
    """A group that imports a command only when it runs or shows its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order of the README."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module and return its `command`; None when there is no such command.

        The command takes -v and -q, too; its --help does not repeat them.
        """
        if cmd_name not in COMMANDS:
            return None
        gc.disable()  # what is imported stays: searching it for garbage takes a tenth of the time
        try:
            command: click.Command = import_module(f"longexpo_cli.commands.{cmd_name}").command
        finally:
            gc.enable()
        if not any(option.callback is _change_verbosity for option in command.params):
            command.params += _verbosity_options()
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with what is typed, without importing any command."""
        found = [
            CompletionItem(name, help=said) for name, said in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an expected error becomes one line on stderr and an exit code."""
        from longexpo_cli import logs  # --help answers without it

        if isinstance(sys.stdout, io.TextIOWrapper):
            # Paths are printed as the bytes they are; in the C locale, click would print "?" for some.
            is_ascii = codecs.lookup(sys.stdout.encoding).name == "ascii"
            sys.stdout.reconfigure(encoding="utf-8" if is_ascii else None, errors="surrogateescape")
        try:
            with _unwound_by_sigterm():
                return super().invoke(ctx)
        except BrokenPipeError:  # the program that reads our output has exited; click handles it
            raise
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if not isinstance(error, LongexpoError | OSError | KeyboardInterrupt) and not is_out_of_memory(
                error
            ):
                raise  # a bug
            if (ctx.obj or 0) > 1:
                traceback.print_exc()
            click.echo(f"longexpo: {logs.printable(user_message(error))}", err=True)
            return ctx.exit(exit_code(error))


def _verbosity_options() -> list[click.Option]:
    """Return -v and -q of a command."""
    callback = _change_verbosity
    settings: dict[str, Any] = {"expose_value": False, "hidden": True, "is_eager": True, "callback": callback}
    return [
        click.Option(["-v", "--verbose"], count=True, **settings),
        click.Option(["-q", "--quiet"], is_flag=True, **settings),
    ]


def _change_verbosity(ctx: click.Context, option: click.Parameter, value: int) -> None:
    """Add the -v of a command to those before it; -q outweighs any."""
    from longexpo_cli import logs

    group = ctx.find_root()
    if value and (group.obj or 0) >= 0:
        group.obj = ctx.obj = -1 if option.name == "quiet" else (group.obj or 0) + value
        logs.configure(logs.level_of(ctx.obj))


@contextlib.contextmanager
def _unwound_by_sigterm() -> Iterator[None]:
    """Raise Terminated on SIGTERM in the block; nothing changes outside of the main thread."""

    def end(number: int, frame: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error that is not a bug."""
    if isinstance(error, KeyboardInterrupt):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    return WRONG_USAGE if isinstance(error, RecipeError) else FAILED


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "show_default": True,
    },
    epilog="""\b
Examples:
  longexpo render waterfall/
  longexpo render cyclist/ --mode background -o out/
  longexpo render --help""",
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    show_default=False,
    help="Log decisions and the time of each stage; -vv every value, and tracebacks. "
    "It may come after the command, too, as may -q.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def longexpo(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """Long-exposure photographs from hand-held bursts of RAW frames.

    Exit codes: 0 done; 1 at least one burst failed; 2 wrong usage; 130 interrupted; 143 terminated.
    """
    from longexpo_cli import logs  # --help answers without it

    ctx.obj = -1 if quiet else verbose
    logs.configure(logs.level_of(ctx.obj))
