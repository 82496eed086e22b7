"""`tocsin verify`: whether every record and every match is accounted for."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption, examples, make_app
from tocsin.cli.exits import FAILED
from tocsin.cli.output import print_json, print_table, printable, when
from tocsin.cli.remote import Server

PATIENCE_S: Final = 600.0  # an answer takes as long as a search may, and a little
MAX_GAPS: Final = 1000
NONE: Final = "(none)"
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

    Exit code 1 when something does not balance; what that is is named by record ids. Hours that were sealed before
    retention removed their logs are told as they were then. Ctrl-C ends it with exit code 130 and says how far it was.
    """
    with Server(url, key_file, timeout_s=PATIENCE_S) as server:
        ledger = _gone_through(server, since, until)
    if as_json:
        print_json(json.dumps(ledger, ensure_ascii=False, separators=(",", ":")))
    else:
        _show(ledger, utc=utc)
    if not ledger["balanced"]:
        raise typer.Exit(FAILED)


def _gone_through(server: Server, since: str, until: str | None) -> dict[str, Any]:
    """The whole span: each answer goes as far as it gets in its time, the next one goes on there."""
    ledger: dict[str, Any] = server.get("/ledger", since=since, until=until).data
    begin, end = _seconds(ledger["since"]), _seconds(ledger["until"])
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    try:
        with bar:
            task = bar.add_task("verifying", total=max(end - begin, 1))
            bar.update(task, completed=_seconds(ledger["reached"]) - begin)
            while ledger["partial"]:
                ledger = _joined(ledger, server.get("/ledger", since=ledger["reached"], until=ledger["until"]).data)
                bar.update(task, completed=_seconds(ledger["reached"]) - begin)
    except KeyboardInterrupt:
        found = "no gap" if ledger["balanced"] else _gaps(ledger["gaps_found"])
        typer.echo(f"Stopped at {ledger['reached']}; before that, {found}.", err=True)
        raise
    return ledger


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two spans, one behind the other, as one."""
    hours = {hour["hour"]: hour for hour in one["hours"]}
    for hour in other["hours"]:
        hours[hour["hour"]] = _added(hours[hour["hour"]], hour) if hour["hour"] in hours else hour
    return {
        **other,
        "since": one["since"],
        "balanced": one["balanced"] and other["balanced"],
        **{name: one[name] + other[name] for name in ("accepted", "stored", "expired", "gaps_found")},
        "gaps": [*one["gaps"], *other["gaps"]][:MAX_GAPS],
        "hours": [hours[name] for name in sorted(hours)],
    }


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """An hour that two answers told of in parts."""
    counted = {name: one[name] + other[name] for name in ("accepted", "rejected", "stored", "waiting", "expired")}
    rules = {(line["rule"], line["version"]): line for line in one["rules"]}
    for line in other["rules"]:
        key = (line["rule"], line["version"])
        before = rules.get(key, {"matched": 0, "verdicts": {}})
        verdicts = Counter(before["verdicts"])
        verdicts.update(line["verdicts"])
        rules[key] = {**line, "matched": before["matched"] + line["matched"], "verdicts": dict(verdicts)}
    sources = {line["source"]: line for line in one["sources"]}
    for line in other["sources"]:
        before = sources.get(line["source"], {"accepted": 0, "stored": 0})
        known = before["accepted"] is not None and line["accepted"] is not None
        accepted = before["accepted"] + line["accepted"] if known else None
        sources[line["source"]] = {**line, "accepted": accepted, "stored": before["stored"] + line["stored"]}
    lines = {"rules": [rules[key] for key in sorted(rules)], "sources": [sources[name] for name in sorted(sources)]}
    return {**one, "sealed": one["sealed"] and other["sealed"], **counted, **lines}


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _show(ledger: dict[str, Any], *, utc: bool) -> None:
    rows = [row for hour in ledger["hours"] for row in _rows(hour, utc=utc)]
    if rows:
        print_table(["Hour", "Accepted", "Stored", "Rule", "Matched", "Verdicts"], rows, flexible=["Verdicts"])
    _show_sources(ledger["hours"], utc=utc)
    for gap in ledger["gaps"]:
        typer.echo(printable(_gap(gap)))
    if ledger["gaps_found"] > len(ledger["gaps"]):
        typer.echo(f"... and {ledger['gaps_found'] - len(ledger['gaps'])} more.")
    waiting = sum(hour["waiting"] for hour in ledger["hours"])
    if waiting:
        typer.echo(f"{waiting} records wait to be matched.")
    if ledger["expired"]:
        typer.echo(f"{ledger['expired']} records are missing: retention removed them before hours were sealed.")
    span = f"{when(ledger['since'], utc=utc)} to {when(ledger['until'], utc=utc)}"
    if not ledger["hours"] and ledger["balanced"]:
        typer.echo(f"Nothing arrived from {span}: there is nothing to verify.")
        return
    state = "balance" if ledger["balanced"] else f"do not balance: {_gaps(ledger['gaps_found'])}"
    typer.echo(f"The books from {span} {state}.")


def _gaps(found: int) -> str:
    return "1 gap" if found == 1 else f"{found} gaps"


def _show_sources(hours: Sequence[dict[str, Any]], *, utc: bool) -> None:
    """Nothing when no record names its source."""
    if all(line["source"] == NONE for hour in hours for line in hour["sources"]):
        return
    rows = [
        [when(hour["hour"], utc=utc), line["source"], _known(line["accepted"]), str(line["stored"])]
        for hour in hours
        for line in hour["sources"]
    ]
    print_table(["Hour", "Source", "Accepted", "Stored"], rows, flexible=["Source"])


def _known(count: int | None) -> str:
    return "not known" if count is None else str(count)


def _rows(hour: dict[str, Any], *, utc: bool) -> list[list[str]]:
    """A line per rule version; the hour's own figures stand in its first."""
    name = when(hour["hour"], utc=utc) + (" sealed" if hour["sealed"] else "")
    head = [name, str(hour["accepted"]), str(hour["stored"])]
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
