"""`tocsin`: the table of commands, and how an error becomes one line and an exit code.

To plug in a command: write `tocsin/cli/NAME.py` with `app = make_app()` (from `tocsin.cli.command`), decorate the
function with `@app.command(epilog=examples("tocsin NAME ..."))`, and add one line to `COMMANDS`. Several decorated
functions in a module, or an `@app.callback()`, make a group (`tocsin NAME SUB`). The module is imported only when its
command runs or shows its help, so it may import whatever it needs at its top. Errors: raise a `TocsinError`
(`tocsin.cli.exits` has kinds with exit codes); it is printed as one line on standard error.
"""

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from tocsin import __version__
from tocsin.cli.command import examples, make_app
from tocsin.cli.exits import FAILED, INTERRUPTED
from tocsin.kit.errors import TocsinError

_SERVER: Final = "Server"
_DATA: Final = "Data"
_WORK: Final = "Work with a running server"


class Command(NamedTuple):
    """A line of the table. `module` holds `app`; `summary` is what `tocsin --help` shows without loading it."""

    name: str
    module: str
    summary: str
    panel: str


COMMANDS: Final = (
    Command("serve", "tocsin.cli.serve", "Run the server.", _SERVER),
    Command("demo", "tocsin.cli.demo", "Watch the outage of a small shop from its logs to its tickets.", _SERVER),
    Command("migrate", "tocsin.cli.migrate", "Bring a database's schema up to date.", _SERVER),
    Command("backup", "tocsin.cli.backup", "Copy an embedded installation into one file while it runs.", _DATA),
    Command("restore", "tocsin.cli.restore", "Set up a data folder from a backup.", _DATA),
    Command("import", "tocsin.cli.import_", "Send log files to a server.", _DATA),
    Command("import-tickets", "tocsin.cli.import_tickets", "Take in tickets from elsewhere with their history.", _DATA),
    Command("send", "tocsin.cli.send", "Send one log record.", _WORK),
    Command("logs", "tocsin.cli.logs", "Find, follow, count and export log records.", _WORK),
    Command("alerts", "tocsin.cli.alerts", "List alerts, or show one.", _WORK),
    Command("patterns", "tocsin.cli.patterns", "List, show, merge and split patterns of messages.", _WORK),
    Command(
        "explain",
        "tocsin.cli.explain",
        "Tell why a record led to a ticket or to none, or how an alert came about.",
        _WORK,
    ),
    Command("verify", "tocsin.cli.verify", "Match stored records again and compare with the verdicts.", _WORK),
    Command("rules", "tocsin.cli.rules", "List, show, save, switch and remove rules.", _WORK),
    Command("sla", "tocsin.cli.sla", "List, save, try and remove SLA policies and calendars.", _WORK),
    Command("heartbeats", "tocsin.cli.heartbeats", "List, show, save, ping and remove heartbeats.", _WORK),
    Command("services", "tocsin.cli.services", "Say which services there are and what depends on what.", _WORK),
    Command("silences", "tocsin.cli.silences", "Look at, make, show, extend and end silences.", _WORK),
    Command("oncall", "tocsin.cli.oncall", "Tell who is on call, now or at any time.", _WORK),
    Command("schedules", "tocsin.cli.schedules", "List, show, save, try, override and swap on-call schedules.", _WORK),
    Command("users", "tocsin.cli.users", "List, show, save and remove people and the ways to reach them.", _WORK),
    Command("teams", "tocsin.cli.teams", "List, show, save and remove teams.", _WORK),
    Command("channels", "tocsin.cli.channels", "List, show, save, try and remove ways to reach people.", _WORK),
    Command("templates", "tocsin.cli.templates", "List, show, save, try and remove what messages say.", _WORK),
    Command(
        "deliveries",
        "tocsin.cli.deliveries",
        "Find messages, show every try, tell why people were called, send again what failed.",
        _WORK,
    ),
    Command("apply", "tocsin.cli.apply", "Bring about the rules, silences and services of a file.", _WORK),
    Command("export", "tocsin.cli.export", "Write a file with rules, silences and services, or with tickets.", _WORK),
    Command("reports", "tocsin.cli.reports", "Count tickets, how long they took, and what is left to do.", _WORK),
    Command("changes", "tocsin.cli.changes", "Tell what was deployed or switched, and list it.", _WORK),
    Command("matrix", "tocsin.cli.matrix", "Show and change which priority follows from impact and urgency.", _WORK),
    Command("routes", "tocsin.cli.routes", "Say who hears of which tickets, and try what would happen.", _WORK),
    Command(
        "escalations",
        "tocsin.cli.escalations",
        "Say who is called one after the other; call, hand back, ask why somebody was called.",
        _WORK,
    ),
    Command("drill", "tocsin.cli.drill", "Try whether a page arrives, from the log to a channel's answer.", _WORK),
    Command("drills", "tocsin.cli.drills", "Schedule drills, and list what came of each.", _WORK),
    Command("ack", "tocsin.cli.ack", "Answer a page: acknowledge tickets.", _WORK),
    Command("tickets", "tocsin.cli.tickets", "List, show, open and move tickets.", _WORK),
    Command("views", "tocsin.cli.views", "Keep queries for tickets under a name.", _WORK),
)


class CommandTable(TyperGroup):
    """A group that knows its commands by name and summary, and loads one when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._lines = {line.name: line for line in COMMANDS}
        for line in COMMANDS:
            self.add_command(TyperCommand(line.name, help=line.summary, rich_help_panel=line.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # Typer's own types for these are private
        if args and args[0] in self._lines:
            self.add_command(_load(self._lines[args[0]]))
        return super().resolve_command(ctx, args)


def _load(line: Command) -> Any:
    # The one import that waits until it is needed: `tocsin tickets` must not pay for what `tocsin serve` is made of.
    # Hardly anything of it is garbage: looking for some all the while costs a fifth of the start.
    gc.disable()
    try:
        module = importlib.import_module(line.module)
    finally:
        gc.enable()
    command = get_command(module.app)
    command.name = line.name
    return command


app = make_app(cls=CommandTable)


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "tocsin serve",
        'tocsin send "database connection lost" --level CRITICAL --service payments',
        "tocsin tickets list",
    ),
)
def tocsin(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Logs in, alerts decided, one ticket for each thing that is wrong.

    Commands that work with a running server find it by --url or TOCSIN_URL and take its key from TOCSIN_KEY.
    Exit codes: 1 failure, 2 wrong usage, 3 no answer from the server, 4 the server refused.
    """
    if version:
        typer.echo(f"tocsin {__version__}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def run(args: Sequence[str]) -> int:
    """Run a command line; returns its exit code. Errors are printed as one line, never as a traceback."""
    try:
        code = app(list(args), prog_name="tocsin", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # a person at a terminal is told in one line, whatever it was
        if os.environ.get("TOCSIN_TRACEBACK"):
            traceback.print_exc()
        return _tell(error)
    return code if isinstance(code, int) else 0


def _tell(error: Exception) -> int:
    """Print an error as one line, with notes below it if it has some; returns the exit code it stands for."""
    notes: Sequence[str] = ()
    match error:
        case TyperException():
            text = f"{error.format_message()} {_usage_hint(error)}"
        case TocsinError():
            text, notes = str(error), getattr(error, "notes", ())
        case OSError(filename=str() as name, strerror=str() as reason):
            text = f"{name}: {reason}"
        case OSError():
            text = str(error)
        case _:
            text = f"a fault in this program: {type(error).__name__}: {error} (TOCSIN_TRACEBACK=1 shows where)"
    typer.echo(f"tocsin: {' '.join(text.split())}", err=True)
    for note in notes:
        typer.echo(f"  {note}", err=True)
    return int(getattr(error, "exit_code", FAILED))


def _usage_hint(error: TyperException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"(see: {ctx.command_path} --help)" if ctx is not None else ""


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
