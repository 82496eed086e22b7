"""`tocsin rules`: list, show, save, switch and remove the rules that make records alerts."""

import json
from typing import Annotated, Any

import typer

from tocsin.cli import backtest
from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    FileOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.each import each
from tocsin.cli.given import counts, json_object, kind_of, listed, pairs, savable
from tocsin.cli.output import (
    PRIORITY_STYLES,
    duration,
    more_follows,
    print_fields,
    print_json,
    print_table,
    styled,
    when,
)
from tocsin.cli.remote import Answer, Server

DAY_S = 86_400
STATE_STYLES = {"on": "green", "dry run": "yellow", "off": "dim", "BROKEN": "bold red"}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The rule's name.")]
NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME...", min=1, help="One or several rules.")]

app = make_app(
    help="List, show, save, switch and remove the rules that make records alerts.",
    epilog=examples(
        "tocsin rules list",
        "tocsin rules save payments-errors 'service:payments level:>=ERROR' --threshold 20 --window 300",
    ),
)


@app.command("list", epilog=examples("tocsin rules list"))
def list_rules(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List rules by name."""
    with Server(url, key_file) as server:
        page = server.get("/rules", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "State", "Prio", "Kind", "Condition"],
        (_row(rule) for rule in page.data["items"]),
        flexible=["Condition"],
        empty="No rules: no record opens an alert. tocsin rules save critical-logs level:CRITICAL -p P2",
        as_json=as_json,
    )


def _row(rule: dict[str, Any]) -> list[Any]:
    state = styled(_state(rule), STATE_STYLES)
    return [rule["name"], state, styled(rule["priority"], PRIORITY_STYLES), _kind(rule), rule["condition"]]


def _resolves(rule: dict[str, Any]) -> str | None:
    after_s = rule["auto_resolve_after_s"]
    if after_s == 0:
        return "at once, when there is something again"
    return None if after_s is None else duration(after_s)


def _state(rule: dict[str, Any]) -> str:
    if not rule["enabled"]:
        return "off"
    if rule["broken_at"] is not None:
        return "BROKEN"
    return "dry run" if rule["dry_run"] else "on"


def _learns(rule: dict[str, Any]) -> bool:
    return bool(rule["kind"] == "new_pattern")


def _kind(rule: dict[str, Any]) -> str:
    lasting = f" for {duration(rule['for_s'])}" if rule["for_s"] else ""
    if rule["kind"] == "absence":
        return f"none in {duration(rule['window_s'])}"
    if rule["ratio"] is not None:
        return f"{rule['ratio']:.4g} in {duration(rule['window_s'])}{lasting}"
    if rule["kind"] == "new_pattern":
        return "new pattern"
    if rule["threshold"] is None:
        return f"{rule['kind']}{lasting}"
    return f"{rule['threshold']} in {duration(rule['window_s'])}{lasting}"


@app.command(epilog=examples("tocsin rules show critical-logs"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one rule."""
    with Server(url, key_file) as server:
        answer = server.get(f"/rules/{name}")
    if as_json:
        print_json(answer.text)
        return
    rule = answer.data
    print_fields(
        [
            ("name", rule["name"]),
            ("version", str(rule["version"])),
            ("state", styled(_state(rule), STATE_STYLES)),
            ("broken because", rule["broken_reason"]),
            ("condition", rule["condition"]),
            ("kind", _kind(rule)),
            ("share of", f"{rule['of']}, at least {rule['minimum']}" if rule["ratio"] is not None else None),
            ("learns for", duration(DAY_S if rule["learn_s"] is None else rule["learn_s"]) if _learns(rule) else None),
            ("priority", styled(rule["priority"], PRIORITY_STYLES)),
            ("description", rule["description"]),
            ("runbook", rule["runbook_url"]),
            ("labels", ", ".join(f"{key}={value}" for key, value in rule["labels"].items())),
            ("service", rule["service"]),
            ("more urgent", ", ".join(f"{key} from {n} records" for key, n in rule["raise_at"].items()) or None),
            ("one alert per", ", ".join(rule["group_by"]) or "rule"),
            ("one ticket per", ", ".join(rule["correlate_by"]) or "alert"),
            ("reopens within", duration(rule["reopen_window_s"])),
            ("resolves after", _resolves(rule)),
            ("changed", f"{when(rule['updated_at'], utc=utc)} by {rule['updated_by']}"),
        ]
    )


@app.command(
    epilog=examples(
        "tocsin rules save disk-full 'level:>=ERROR \"no space left\"' -p P1 --runbook https://wiki.example.org/disk",
        "tocsin rules save payments-errors 'service:payments level:>=ERROR' --threshold 20 --window 300 --dry-run",
        "tocsin rules save web-5xx 'service:web @status:>=500' --ratio 0.05 --of service:web --minimum 50 --window 300",
        "tocsin rules save payments-silent service:payments --absence 300",
        "tocsin rules save queue-full '\"queue is full\"' --for 600",
        "tocsin rules save new-errors 'level:>=ERROR' --new-pattern --learn 604800",
        "tocsin rules show disk-full --json | tocsin rules save disk-full-2 --file -",
    )
)
def save(
    name: NameArgument,
    condition: Annotated[str | None, typer.Argument(metavar="QUERY", help="In the filter language.")] = None,
    file: FileOption = None,
    priority: Annotated[str | None, typer.Option("--priority", "-p", help="Of its tickets.", show_default="P3")] = None,
    threshold: Annotated[int | None, typer.Option("--threshold", min=1, help="Only so many records.")] = None,
    ratio: Annotated[
        float | None, typer.Option("--ratio", metavar="SHARE", help="Only as such a share, 0.05 for 5 %.")
    ] = None,
    of: Annotated[str | None, typer.Option("--of", metavar="QUERY", help="... of these.", show_default="all")] = None,
    minimum: Annotated[
        int | None, typer.Option("--minimum", min=1, help="... once there are so many of those.")
    ] = None,
    window_s: Annotated[int | None, typer.Option("--window", metavar="SECONDS", help="... within so long.")] = None,
    for_s: Annotated[
        int | None, typer.Option("--for", metavar="SECONDS", help="Only once that has gone on for so long.")
    ] = None,
    absence_s: Annotated[
        int | None, typer.Option("--absence", metavar="SECONDS", help="Only when there is none for so long.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", metavar="FIELDS", help="One alert per these.", show_default="service,template"),
    ] = None,
    correlate_by: Annotated[
        str | None, typer.Option("--correlate-by", metavar="FIELDS", help="One ticket per these, for all its alerts.")
    ] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Which service its tickets are about.")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What to know about it.")] = None,
    runbook_url: Annotated[str | None, typer.Option("--runbook", metavar="URL", help="What to do about it.")] = None,
    reopen_window_s: Annotated[
        int | None, typer.Option("--reopen-window", metavar="SECONDS", help="A relapse within it reopens the ticket.")
    ] = None,
    auto_resolve_after_s: Annotated[
        int | None, typer.Option("--auto-resolve", metavar="SECONDS", help="Resolve by itself when quiet for so long.")
    ] = None,
    raise_at: Annotated[
        list[str] | None,
        typer.Option("--raise", metavar="P1=COUNT", help="More urgent from so many records on; several times."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Several times.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only write down what it would do.")] = False,
    new_pattern: Annotated[
        bool, typer.Option("--new-pattern", help="Only the first record of each pattern of a service.")
    ] = False,
    learn_s: Annotated[
        int | None,
        typer.Option(
            "--learn", metavar="SECONDS", min=0, help="... once a service is known so long.", show_default="86400"
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a rule, or replace the one of that name. What is not said has its default."""
    body = {} if file is None else savable(json_object(file), "broken_reason", "broken_at")
    said = {
        "condition": condition,
        "priority": priority,
        "threshold": threshold,
        "window_s": window_s if absence_s is None else absence_s,
        "for_s": for_s,
        "ratio": ratio,
        "of": of,
        "minimum": minimum,
        "kind": kind_of(threshold=threshold, ratio=ratio, absence=absence_s, new_pattern=new_pattern or None),
        "group_by": listed(group_by),
        "correlate_by": listed(correlate_by),
        "service": service,
        "description": description,
        "runbook_url": runbook_url,
        "reopen_window_s": reopen_window_s,
        "auto_resolve_after_s": auto_resolve_after_s,
        "raise_at": counts("--raise", raise_at),
        "labels": pairs("--label", label),
        "dry_run": dry_run or None,
        "learn_s": learn_s,
    }
    body |= {field: value for field, value in said.items() if value is not None}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/rules/{name}", json=body)
    _tell(answer, as_json=as_json)


@app.command(epilog=examples("tocsin rules enable payments-errors"))
def enable(
    names: NamesArgument,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run/--no-dry-run", help="Only write down what it would do, or no longer.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Switch rules on."""
    rehearse = {} if dry_run is None else {"dry_run": dry_run}
    _each(names, "PATCH", {"enabled": True, **rehearse}, url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin rules disable payments-errors"))
def disable(
    names: NamesArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Switch rules off: they match nothing until they are switched on again."""
    _each(names, "PATCH", {"enabled": False}, url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin rules remove payments-errors"))
def remove(
    names: NamesArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove rules. Their alerts and tickets stay, and `versions` still shows what they said."""
    _each(names, "DELETE", None, url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin rules versions critical-logs"))
def versions(
    name: NameArgument,
    utc: UtcOption = False,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a rule said and when, the newest first."""
    with Server(url, key_file) as server:
        page = server.get(f"/rules/{name}/versions", limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    items = page.data["items"]
    print_table(
        ["Version", "At", "By", "What"],
        (
            [str(version["version"]), when(version["at"], utc=utc), version["actor"], _difference(version, earlier)]
            for version, earlier in zip(items, [*items[1:], None], strict=True)
        ),
        flexible=["What"],
    )
    more_follows(page.data)


@app.command(epilog=examples("tocsin rules rehearsals payments-errors"))
def rehearsals(
    name: NameArgument,
    utc: UtcOption = False,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that a rule in a dry run would have opened, the newest first."""
    with Server(url, key_file) as server:
        page = server.get(f"/rules/{name}/rehearsals", limit=limit, cursor=cursor)
    print_page(
        page,
        ["At", "Version", "Log", "Fingerprint"],
        (
            [when(one["last_at"], utc=utc), str(one["rule_version"]), str(one["first_log_id"]), one["fingerprint"]]
            for one in page.data["items"]
        ),
        flexible=["Fingerprint"],
        empty="It would have opened nothing so far.",
        as_json=as_json,
    )


def _difference(version: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    """What a version changed; of one that has none before it on the page, its condition."""
    definition = version["definition"]
    before = None if earlier is None else earlier["definition"]
    if definition is None:
        return "removed"
    if before is None:
        return str(definition["condition"])
    return ", ".join(f"{field}: {_short(value)}" for field, value in definition.items() if before.get(field) != value)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _each(
    names: list[str], method: str, body: dict[str, Any] | None, url: str, key_file: str | None, *, as_json: bool
) -> None:
    with Server(url, key_file) as server:
        each(
            names,
            lambda name: server.ask(method, f"/rules/{name}", **({} if body is None else {"json": body})),
            lambda answer: _tell(answer, as_json=False, removed=method == "DELETE"),
            kind="rule",
            as_json=as_json,
        )


def _tell(answer: Answer, *, as_json: bool, removed: bool = False) -> None:
    rule = answer.data
    state = f"version {rule['version']}, {'removed' if removed else _state(rule)}, {_kind(rule)}, {rule['priority']}"
    tell(answer, f"Rule {rule['name']} ({state}): {rule['condition']}", as_json=as_json)


app.command(
    "test",
    epilog=examples(
        "tocsin rules test 'service:payments level:>=ERROR' --threshold 20 --window 300 --since -7d",
        "tocsin rules test critical-logs --auto-resolve 900 --correlate-by service",
    ),
)(backtest.try_rule)
