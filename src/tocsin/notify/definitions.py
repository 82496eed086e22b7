"""What people say of a channel: how it sends, within which limits, and what it leaves out. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.notify.channels.channel import Channel
from tocsin.notify.message import Kind
from tocsin.notify.secrecy import moved, still_hidden, unmasked
from tocsin.oncall.references import Reference, Referred

MAX_CHANNELS: Final = 500
MAX_CONCURRENCY: Final = 100
MAX_TIMEOUT_S: Final = 60.0
MAX_BUNDLE_S: Final = 3600.0
MAX_PER_MINUTE: Final = 60_000
MAX_CONFIG_CHARS: Final = 100_000
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,78}[a-z0-9])?")
_NAMES: Final = "expected up to 80 characters of a-z, 0-9, '.', '_', '-', such as ops-webhook"


@dataclass(frozen=True, slots=True)
class Definition:
    """A channel as people define it. `kinds` are those of messages that it takes, None for all; pages, codes and tests
    are always taken. Updates of a ticket within `bundle_s` become one message; what it can't deliver goes to the
    channel `fallback`. `is_default`: it hears of what no route is about. Its messages say what `template` says."""

    name: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    is_default: bool = False
    enabled: bool = True
    per_minute: int | None = None
    concurrency: int = 8
    timeout_s: float = 15.0
    bundle_s: float = 30.0
    kinds: tuple[str, ...] | None = None
    fallback: str | None = None
    template: str | None = None

    def references(self) -> tuple[Reference, ...]:
        """What it falls back to, and what its messages say."""
        found = []
        if self.fallback is not None:
            found.append(Reference(Referred.CHANNEL, self.fallback, "/fallback"))
        if self.template is not None:
            found.append(Reference(Referred.TEMPLATE, self.template, "/template"))
        return tuple(found)


DEFINED: Final = tuple(field.name for field in fields(Definition))


def settled(definition: Definition, before: Definition | None, channels: Mapping[str, Channel]) -> Definition:
    """The definition with the secrets that are meant. Raises Invalid, which names every field that is wrong."""
    found = list(_limit_faults(definition))
    channel = channels.get(definition.kind)
    config: Mapping[str, Any] = definition.config
    if channel is None:
        found.append(FieldError("/kind", f"expected one of {', '.join(sorted(channels))}"))
    else:
        known = before.config if before is not None and before.kind == definition.kind else {}
        elsewhere = moved(definition.config, known, where=channel.where, secrets=channel.secrets) if known else []
        config = unmasked(definition.config, {} if elsewhere else known, channel.secrets)
        hidden = still_hidden(config, channel.secrets)
        found += [FieldError(f"/config{pointer}", _why_hidden(elsewhere)) for pointer in hidden]
        if not hidden:
            found += [FieldError(f"/config{fault.pointer}", fault.detail) for fault in channel.check(config)]
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))
    values = {name: getattr(definition, name) for name in DEFINED}
    return Definition(**values | {"config": dict(config)})


def _why_hidden(elsewhere: Sequence[str]) -> str:
    if elsewhere:
        return f"is hidden, and was given for another {', '.join(elsewhere)}; give it again"
    return "is hidden, and there is none to keep; give it"


def _limit_faults(definition: Definition) -> list[FieldError]:
    ranges: tuple[tuple[str, float | None, float, float], ...] = (
        ("per_minute", definition.per_minute, 1, MAX_PER_MINUTE),
        ("concurrency", definition.concurrency, 1, MAX_CONCURRENCY),
        ("timeout_s", definition.timeout_s, 1, MAX_TIMEOUT_S),
        ("bundle_s", definition.bundle_s, 0, MAX_BUNDLE_S),
    )
    found = [
        FieldError(f"/{name}", f"expected {least:g} to {most:g}")
        for name, value, least, most in ranges
        if value is not None and not least <= value <= most
    ]
    if not _NAME.fullmatch(definition.name):
        found.append(FieldError("/name", _NAMES))
    unknown = [kind for kind in definition.kinds or () if kind not in set(Kind)]
    if unknown:
        found.append(FieldError("/kinds", f"{unknown[0]!r} is not a kind; expected some of {', '.join(Kind)}"))
    if definition.fallback == definition.name:
        found.append(FieldError("/fallback", "a channel can't be its own fallback"))
    if len(repr(definition.config)) > MAX_CONFIG_CHARS:
        found.append(FieldError("/config", f"expected at most {MAX_CONFIG_CHARS} characters"))
    return found
