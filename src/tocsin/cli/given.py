"""What people give a command: JSON or YAML of a file, lists with commas, pairs, lengths of time."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tocsin.cli.exits import WrongUsage
from tocsin.cli.yamlfile import read_yaml

# What the server alone decides of anything that has a name.
_SHOWN_ONLY: Final = frozenset({"name", "version", "created_at", "updated_at", "updated_by"})
# Bounded, since Python refuses to read a number of thousands of digits; whether it is too long the server says.
_LENGTH: Final = re.compile(r"(\d{1,9})(s|m|h|d|w)?")
_YAML: Final = (".yaml", ".yml")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def json_object(file: str) -> dict[str, Any]:
    """The JSON object in a file, which is written as YAML where its name ends so; `-` is standard input, as JSON.

    Raises WrongUsage, OSError.
    """
    if file.lower().endswith(_YAML):
        found, _ = read_yaml(Path(file).read_bytes(), file)
    else:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        try:
            found = json.loads(text)
        except ValueError as error:
            raise WrongUsage(detail=f"{file} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise WrongUsage(detail=f"{file} holds no JSON object")
    return found


def savable(shown: Mapping[str, Any], *shown_only: str) -> dict[str, Any]:
    """What the server shows of a thing, so that it can be saved again: without what the server alone decides."""
    left_out = _SHOWN_ONLY.union(shown_only)
    return {field: value for field, value in shown.items() if field not in left_out}


def listed(text: str | None) -> list[str] | None:
    """`a, b` as its parts; None when nothing was given."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def pairs(option: str, given: Sequence[str] | None, expected: str = "NAME=VALUE") -> dict[str, str] | None:
    """`NAME=VALUE`, given several times; None when it was not. Raises WrongUsage, which says what was expected."""
    if not given:
        return None
    for pair in given:
        if "=" not in pair:
            raise WrongUsage(detail=f"{option} {pair!r}: expected {expected}")
    return {name: value for name, _, value in (pair.partition("=") for pair in given)}


def seconds(option: str, length: str | None) -> int | None:
    """`900`, `15m`, `4h`, `2d` or `1w` in seconds; None when nothing was given. Raises WrongUsage."""
    if length is None:
        return None
    found = _LENGTH.fullmatch(length.strip())
    if found is None:
        raise WrongUsage(detail=f"{option} {length!r}: expected seconds, or such as 15m, 4h, 2d, 1w")
    return int(found[1]) * _UNITS_S[found[2] or "s"]


def instant(option: str, text: str | None, now: datetime | None = None) -> str | None:
    """`now`, `2h` from now, or a date or time as RFC 3339; without an offset, by this machine's clock.

    Several that belong together are given one `now`. None when nothing was given. Raises WrongUsage.
    """
    if text is None:
        return None
    now = now or datetime.now(UTC)
    found = _LENGTH.fullmatch(text.strip().removeprefix("+"))
    try:
        if text.strip() == "now":
            at = now
        elif found is not None and found[2]:
            at = now + timedelta(seconds=int(found[1]) * _UNITS_S[found[2]])
        else:
            at = datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        expected = "expected now, a time from now such as 2h, or a time such as 2026-11-28T18:00"
        raise WrongUsage(detail=f"{option} {text!r}: {expected}") from error
    return at.isoformat()


def kind_of(**given: object) -> str | None:
    """The kind of rule that options ask for, by the option's name; None when none was given. Raises WrongUsage."""
    kinds = [kind for kind, value in given.items() if value is not None]
    if len(kinds) > 1:
        first, second = (kind.replace("_", "-") for kind in kinds[:2])
        raise WrongUsage(detail=f"--{first} and --{second} are two kinds of rule; give one of them")
    return kinds[0] if kinds else None


def counts(option: str, given: Sequence[str] | None) -> dict[str, int] | None:
    """`P1=1000`, given several times, as a priority's number of records; None when it was not. Raises WrongUsage."""
    found = pairs(option, given, "a priority and a count, such as P1=1000")
    wrong = [f"{name}={count}" for name, count in (found or {}).items() if not count.isdecimal()]
    if wrong:
        raise WrongUsage(detail=f"{option} {wrong[0]!r}: expected a priority and a count, such as P1=1000")
    return None if found is None else {name.strip().upper(): int(count) for name, count in found.items()}
