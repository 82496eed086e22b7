"""`tocsin verify`: whether every record and every match is accounted for."""

from typing import Annotated, Any, Final

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption, examples, make_app
from tocsin.cli.exits import FAILED
from tocsin.cli.output import print_json, print_table, printable, when
from tocsin.cli.remote import Server

PATIENCE_S: Final = 3600.0
_UNCOUNTED: Final = "parked"

app = make_app()


@app.command(epilog=examples("tocsin verify", "tocsin verify --since 2h --until 1h"))
def verify(
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Arrived since: how long ago (15m, 2h, 7d) or RFC 3339.")
    ] = "1d",
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Arrived before that; now by default.")
    ] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Match stored records again with the rules recorded then, and compare with the verdicts.

    Exit code 1 when something does not balance; what that is is named by record ids.
    """
    with Server(url, key_file, timeout_s=PATIENCE_S) as server:
        answer = server.get("/ledger", since=since, until=until)
    if as_json:
        print_json(answer.text)
    else:
        _show(answer.data, utc=utc)
    if not answer.data["balanced"]:
        raise typer.Exit(FAILED)


def _show(ledger: dict[str, Any], *, utc: bool) -> None:
    rows = [row for hour in ledger["hours"] for row in _rows(hour, utc=utc)]
    if rows:
        print_table(["Hour", "Accepted", "Stored", "Rule", "Matched", "Verdicts"], rows, flexible=["Verdicts"])
    for gap in ledger["gaps"]:
        typer.echo(printable(_gap(gap)))
    if ledger["gaps_found"] > len(ledger["gaps"]):
        typer.echo(f"... and {ledger['gaps_found'] - len(ledger['gaps'])} more.")
    waiting = sum(hour["waiting"] for hour in ledger["hours"])
    if waiting:
        typer.echo(f"{waiting} records wait to be matched.")
    missing = ledger["accepted"] - ledger["stored"]
    if missing and ledger["balanced"]:
        typer.echo(f"{missing} records are no longer stored; retention has removed {ledger['expired']} since.")
    span = f"{when(ledger['since'], utc=utc)} to {when(ledger['until'], utc=utc)}"
    found = "1 gap" if ledger["gaps_found"] == 1 else f"{ledger['gaps_found']} gaps"
    state = "balance" if ledger["balanced"] else f"do not balance: {found}"
    typer.echo(f"The books from {span} {state}.")


def _rows(hour: dict[str, Any], *, utc: bool) -> list[list[str]]:
    """A line per rule version; the hour's own figures stand in its first."""
    head = [when(hour["hour"], utc=utc), str(hour["accepted"]), str(hour["stored"])]
    lines = [
        [f"{one['rule']} (version {one['version']})", str(one["matched"]), _verdicts(one["verdicts"])]
        for one in hour["rules"]
    ] or [["-", "0", ""]]
    return [[*(head if place == 0 else ["", "", ""]), *line] for place, line in enumerate(lines)]


def _verdicts(found: dict[str, int]) -> str:
    total = sum(found.values()) - found.get(_UNCOUNTED, 0)
    parts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.items()))
    return f"{total} ({parts})" if found else "0"


def _gap(gap: dict[str, Any]) -> str:
    ids = f"Records {gap['first_log_id']} to {gap['last_log_id']}"
    if gap["rule"] is None:
        return f"{ids}: {gap['what']}: {gap['matched']} accepted, {gap['recorded']} stored."
    return (
        f"{ids}, rule {gap['rule']} (version {gap['version']}): {gap['what']}: "
        f"{gap['matched']} match, {gap['recorded']} verdicts."
    )
