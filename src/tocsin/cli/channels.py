"""`tocsin channels`: the ways to reach people; how they are doing, and whether they work."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    FileOption,
    ForceOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.deliveries import print_tries
from tocsin.cli.exits import FAILED, WrongUsage
from tocsin.cli.given import json_object, listed, pairs, savable
from tocsin.cli.output import age, duration, print_fields, print_json, print_table, printable, styled, when
from tocsin.cli.remote import Server

STATE_STYLES = {"works": "green", "rests": "bold red", "off": "dim", "DISABLED": "bold red", "untried": "dim"}
_SHOWN_ONLY = (
    "disabled_reason", "disabled_at", "breaker", "failures", "open_since", "next_probe_at", "held_until",
    "last_success_at", "last_error_at", "last_error", "queued", "oldest_queued_at", "dead",
)  # fmt: skip
_REQUIRED: Final = "is required"
_SCALAR: Final = re.compile(r"true|false|null|-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?", re.ASCII)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The channel's name.")]

app = make_app(
    help="List, show, save, try and remove channels: the ways to reach people.",
    epilog=examples(
        "tocsin channels kinds",
        "tocsin channels save ops webhook --set url=https://hooks.example.org/tocsin --default",
        "tocsin channels test ops",
    ),
)


@app.command("list", epilog=examples("tocsin channels list"))
def list_channels(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List channels by name."""
    with Server(url, key_file) as server:
        page = server.get("/channels", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Kind", "State", "Default", "Last success", "Last error"],
        (_row(channel) for channel in page.data["items"]),
        flexible=["Last error"],
        empty="No channels: nobody hears of tickets. tocsin channels save console console --default",
        as_json=as_json,
    )


def _row(channel: dict[str, Any]) -> list[Any]:
    succeeded = channel["last_success_at"]
    return [
        channel["name"],
        channel["kind"],
        styled(_state(channel), STATE_STYLES),
        "yes" if channel["is_default"] else "",
        f"{age(succeeded)} ago" if succeeded else "",
        channel["last_error"] or "",
    ]


def _state(channel: dict[str, Any]) -> str:
    if not channel["enabled"]:
        return "DISABLED" if channel["disabled_reason"] else "off"
    if channel["breaker"] != "closed" or channel["held_until"]:
        return "rests"
    return "works" if channel["last_success_at"] else "untried"


@app.command(epilog=examples("tocsin channels show ops"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one channel with how it is doing."""
    with Server(url, key_file) as server:
        answer = server.get(f"/channels/{name}")
    if as_json:
        print_json(answer.text)
        return
    channel = answer.data
    error_at = channel["last_error_at"]
    print_fields(
        [
            ("name", channel["name"]),
            ("kind", channel["kind"]),
            *((key, _text(value)) for key, value in channel["config"].items()),
            ("description", channel["description"]),
            ("default", "hears of what no route is about" if channel["is_default"] else None),
            ("state", styled(_state(channel), STATE_STYLES)),
            ("disabled because", channel["disabled_reason"]),
            ("failures", str(channel["failures"]) if channel["failures"] else None),
            ("next try", when(channel["next_probe_at"], utc=utc) or when(channel["held_until"], utc=utc)),
            ("last success", when(channel["last_success_at"], utc=utc)),
            ("last error", f"{channel['last_error']} ({when(error_at, utc=utc)})" if error_at else None),
            ("waiting", str(channel["queued"])),
            ("given up", f"{channel['dead']} (tocsin deliveries replay --channel {name})" if channel["dead"] else None),
            ("a minute", str(channel["per_minute"] or "no limit")),
            ("at once", str(channel["concurrency"])),
            ("time for a try", duration(channel["timeout_s"])),
            ("bundles within", duration(channel["bundle_s"])),
            ("takes only", ", ".join(channel["kinds"] or ())),
            ("falls back to", channel["fallback"]),
            ("template", channel["template"]),
            ("changed", f"{when(channel['updated_at'], utc=utc)} by {channel['updated_by']}"),
            ("version", str(channel["version"])),
        ]
    )


@app.command(epilog=examples("tocsin channels kinds", "tocsin channels kinds slack"))
def kinds(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Only this one, with all of its settings.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the kinds of channels and what each needs, or all settings of one."""
    with Server(url, key_file) as server:
        answer = server.get("/channel-kinds")
    known = {one["kind"]: one for one in answer.data["items"]}
    if kind is not None and kind not in known:
        raise WrongUsage(detail=f"there is no kind {kind}; there are {', '.join(sorted(known))}")
    if as_json:
        print_json(answer.text if kind is None else json.dumps(known[kind], ensure_ascii=False))
    elif kind is None:
        rows = ([one["kind"], _needs(one), ", ".join(_further(one))] for one in known.values())
        print_table(["Kind", "Needs", "Takes besides"], rows, flexible=["Needs", "Takes besides"])
    else:
        _show_kind(known[kind])


def _needs(kind: dict[str, Any]) -> str:
    """What has to be given, in words: a setting that is simply required by its name alone."""
    told = (
        one["setting"] if one["detail"] == _REQUIRED else f"{one['setting']}: {one['detail']}" for one in kind["needs"]
    )
    return "; ".join(told) or "nothing"


def _further(kind: dict[str, Any]) -> list[str]:
    needed = {one["setting"] for one in kind["needs"]}
    return [setting for setting in kind["settings"] if setting not in needed]


def _show_kind(kind: dict[str, Any]) -> None:
    print_fields(
        [
            ("kind", kind["kind"]),
            ("needs", _needs(kind)),
            ("takes besides", ", ".join(_further(kind)) or None),
            ("never shown", ", ".join(kind["secrets"]) or None),
            ("about", kind["about"].replace("`", "")),
            ("for", "people, by their contact methods, and for routes" if kind["personal"] else None),
            ("keep it", f"tocsin channels save NAME {kind['kind']} --set NAME=VALUE"),
        ]
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    return str(value)


def _settings(given: Sequence[str] | None) -> dict[str, Any]:
    """`NAME=VALUE` pairs of settings. Raises WrongUsage."""
    return {name: setting_value(text) for name, text in (pairs("--set", given) or {}).items()}


def setting_value(text: str) -> Any:
    """A number, `true`, `false` or `null` as JSON has them, a text in quotes as that text, anything else as it is.

    What would not come back the same as it was written is a text: `007`, `+351912345678`, `1e9`, digits without end.
    """
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    if not quoted and not _SCALAR.fullmatch(text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command(
    epilog=examples(
        "tocsin channels save ops webhook --set url=https://hooks.example.org/tocsin --default",
        "tocsin channels save mail email --set host=mx.example.org --set port=1025 --set from=tocsin@example.org",
        "tocsin channels save push ntfy --set topic=a-name-that-nobody-guesses",
        "tocsin channels save ops --file ops.yaml --per-minute 600",
        "tocsin channels show ops --json | tocsin channels save ops-2 --file -",
    )
)
def save(
    name: NameArgument,
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="How it sends; see above.")] = None,
    file: FileOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of its kind; several times. 25, true, null are no texts; '\"25\"' is.",
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="Sent along by a webhook; several times.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What it is for.")] = None,
    is_default: Annotated[bool, typer.Option("--default", help="It hears of what no route is about.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Keep it, but send nothing there.")] = False,
    per_minute: Annotated[int | None, typer.Option("--per-minute", min=1, help="So many messages at most.")] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="So many at once.", show_default="8")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="For one try.", show_default="15")
    ] = None,
    bundle_s: Annotated[
        float | None,
        typer.Option("--bundle", metavar="SECONDS", help="Updates within it become one.", show_default="30"),
    ] = None,
    kinds: Annotated[str | None, typer.Option("--kinds", metavar="KINDS", help="Only these, with commas.")] = None,
    fallback: Annotated[
        str | None, typer.Option("--fallback", metavar="NAME", help="Gets what this one can't deliver.")
    ] = None,
    template: Annotated[str | None, typer.Option("--template", metavar="NAME", help="What its messages say.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a channel, or replace the one of that name. What is not said has its default.

    KIND is how it sends, and says which settings (--set) it needs:

    - `console`: none; the server's own log
    - `webhook`: `url`
    - `email`: `host` and `from`; `to` for a channel of its own, a login with `username` and `password`
    - `slack`: `url` of an incoming webhook; or `token` of a bot, and `channel`
    - `teams`, `discord`: `url` of the webhook
    - `telegram`: `token` of the bot, and `chat_id`
    - `ntfy`: `topic`
    - `sms`: `account_sid`; `auth_token`, or `api_key` and `api_secret`; `from` or `messaging_service`
    - `voice`: `account_sid`; `auth_token`, or `api_key` and `api_secret`; `from`
    - `apprise`: `url`, for everything else

    `tocsin channels kinds` lists the same as the server knows it; with a KIND, every setting of it. Secrets belong in a
    file, not on a command line: `--file ops.yaml`.
    """
    body = {} if file is None else savable(json_object(file), *_SHOWN_ONLY)
    config = {**body.get("config", {}), **_settings(setting)}
    headers = pairs("--header", header)
    said = {
        "kind": kind,
        "config": config if headers is None else {**config, "headers": headers},
        "description": description,
        "is_default": is_default or None,
        "enabled": False if off else None,
        "per_minute": per_minute,
        "concurrency": concurrency,
        "timeout_s": timeout_s,
        "bundle_s": bundle_s,
        "kinds": listed(kinds),
        "fallback": fallback,
        "template": template,
    }
    body |= {field: value for field, value in said.items() if value is not None}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/channels/{name}", json=body)
    channel = answer.data
    tell(
        answer,
        f"Channel {name} ({channel['kind']}, version {channel['version']}). Try it: tocsin channels test {name}",
        as_json=as_json,
    )


@app.command(epilog=examples("tocsin channels enable ops"))
def enable(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Switch a channel on: also one whose other side wanted no more (410). All else stays, secrets too."""
    _switch(name, on=True, url=url, key_file=key_file, as_json=as_json)


@app.command(epilog=examples("tocsin channels disable ops"))
def disable(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Switch a channel off: its messages go to its fallback, or are given up and can be replayed."""
    _switch(name, on=False, url=url, key_file=key_file, as_json=as_json)


def _switch(name: str, *, on: bool, url: str, key_file: KeyFileOption, as_json: bool) -> None:
    with Server(url, key_file) as server:
        shown = server.get(f"/channels/{name}")
        body = savable(shown.data, *_SHOWN_ONLY) | {"enabled": on}
        answer = server.ask("PUT", f"/channels/{name}", json=body, headers={"if-match": f'"{shown.data["version"]}"'})
    tell(answer, f"Channel {name} is {'on' if on else 'off'} (version {answer.data['version']}).", as_json=as_json)


@app.command("test", epilog=examples("tocsin channels test ops"))
def try_channel(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a message that is marked as a test, right now; exit code 1 unless it was taken."""
    with Server(url, key_file, timeout_s=75.0) as server:
        answer = server.post(f"/channels/{name}/test", {})
    found = answer.data
    if as_json:
        print_json(answer.text)
    elif found["delivered"]:
        typer.echo(f"Taken: {printable(found['answer'] or '')}")
    else:
        typer.echo(f"Not taken: {printable(found['answer'] or 'nothing is known yet')}")
        print_tries(found["delivery"]["tries"], utc=utc)
    if not found["delivered"]:
        raise typer.Exit(FAILED)


@app.command(epilog=examples("tocsin channels remove ops", "tocsin channels remove ops --force"))
def remove(
    name: NameArgument,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a channel that no route, escalation policy or other channel names. What waits for it
    goes to a default channel."""
    with Server(url, key_file) as server:
        answer = server.remove(f"/channels/{name}", force=force)
    tell(answer, f"Channel {name} removed.", as_json=as_json)
