"""Channels and deliveries as they go in and out over HTTP."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.notify.channel_service import Watched
from tocsin.notify.channel_store import ChannelRow, StateRow
from tocsin.notify.channels.channel import Channel
from tocsin.notify.channels.kinds import ChannelKind
from tocsin.notify.definitions import Definition
from tocsin.notify.delivery_store import Attempt, Delivery, State
from tocsin.notify.message import Kind
from tocsin.notify.secrecy import masked
from tocsin.web.schemas import In, InstantIn, Out, Prose, QueryIn, Word, no_nul

_MAX_DEPTH: Final = 8
_LIMITS: Final = ("description", "is_default", "enabled", "per_minute", "concurrency", "timeout_s", "bundle_s")


def _storable(value: Any, depth: int = 0) -> Any:
    """Anything that a database keeps. Raises ValueError."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"expected at most {_MAX_DEPTH} levels")
    if isinstance(value, str):
        no_nul(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number that is none")
    elif isinstance(value, dict):
        for name, part in value.items():
            _storable(name, depth + 1)
            _storable(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _storable(part, depth + 1)
    return value


_Short = Annotated[str, StringConstraints(max_length=100), AfterValidator(no_nul)]


class ChannelIn(In):
    """A way to reach people. A field that is absent has its default."""

    kind: _Short = Field(description="`webhook`, `console`, ...", examples=["webhook"])
    config: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(
        default_factory=dict,
        description="Settings of this kind. A secret that comes as it is shown (`***`) stays what it is.",
        examples=[{"url": "https://hooks.example.org/tocsin"}],
    )
    description: Prose = ""
    is_default: bool = Field(False, description="Whether it hears of the tickets that no route is about.")
    enabled: bool = Field(True, description="True also takes up again what the other side had ended with 410.")
    per_minute: int | None = Field(None, description="How many messages a minute at most.")
    concurrency: int = Field(8, description="How many may be on their way at once, of all servers together.")
    timeout_s: float = Field(15.0, description="How long a try may take.")
    bundle_s: float = Field(30.0, description="Updates of a ticket within so long become one message; 0: never.")
    kinds: list[_Short] | None = Field(
        None, description="The kinds of messages it takes, null for all; pages, codes and tests come in any case."
    )
    fallback: _Short | None = Field(None, description="The channel that gets what this one can't deliver.")
    template: _Short | None = Field(None, description="The template of its messages (`/templates`); null: the default.")

    def definition(self, name: str) -> Definition:
        """What is meant; it is checked when it is saved."""
        values = {field: getattr(self, field) for field in ("kind", "config", "fallback", "template", *_LIMITS)}
        return Definition(name, **values, kinds=None if self.kinds is None else tuple(self.kinds))


class ChannelOut(Out):
    """A channel without its secrets. `version` is also its ETag: it grows with every change."""

    name: str = Field(examples=["ops-webhook"])
    kind: str = Field(examples=["webhook"])
    config: dict[str, Any] = Field(description="What is secret is shown as `***`.")
    description: str
    is_default: bool
    enabled: bool
    disabled_reason: str | None = Field(description="What the other side said when it wanted no more (410).")
    disabled_at: datetime | None
    per_minute: int | None
    concurrency: int
    timeout_s: float
    bundle_s: float
    kinds: list[str] | None
    fallback: str | None
    template: str | None
    breaker: str = Field(
        description="`closed`: sent to as usual; `open`: left alone after failures in a row; `half_open`: the next"
        " message shows how it is.",
        examples=["closed"],
    )
    failures: int = Field(description="In a row.")
    open_since: datetime | None
    next_probe_at: datetime | None
    held_until: datetime | None = Field(description="The other side asked to wait until then.")
    last_success_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class ChannelDetailOut(ChannelOut):
    """A channel with what waits for it."""

    queued: int
    oldest_queued_at: datetime | None
    dead: int = Field(description="Messages that were given up; `POST /deliveries/replay` sends them again.")


class ChannelPageOut(Out):
    items: list[ChannelOut]
    next: str | None


class NeededOut(Out):
    """A setting that has to be given, or what may be given instead."""

    setting: str = Field(examples=["url"])
    detail: str = Field(examples=["is required"])


class ChannelKindOut(Out):
    """A kind of channels, and what one of it needs."""

    kind: str = Field(examples=["slack"])
    about: str
    needs: list[NeededOut] = Field(description="What is wrong with a channel of it without any settings.")
    settings: list[str] = Field(description="Every setting there is.")
    secrets: list[str] = Field(description="Those that are never shown again.")
    personal: bool = Field(description="Whether it reaches one person at an address of theirs.")


class ChannelKindListOut(Out):
    items: list[ChannelKindOut]
    next: None = None


class AttemptOut(Out):
    """One try."""

    n: int
    at: datetime
    channel: str
    method_id: int | None
    outcome: str = Field(description="`delivered`, `failed`, `lost` (its server ended), `interrupted`.")
    answer: str
    took_ms: int | None


class DeliveryOut(Out):
    """A message to a channel or a person, and where it stands."""

    id: int
    message_id: str = Field(description="The same for every try: what a receiver knows a repeat by.")
    kind: str = Field(examples=["opened"])
    state: str = Field(
        description="`waiting`, `delivered`, `dead` (given up), `cancelled`, `bundled` (another one speaks for it),"
        " `left_out` (its channel takes no messages of this kind).",
        examples=["delivered"],
    )
    sending: bool
    ticket_id: int | None
    event_id: int | None
    channel: str | None
    method_id: int | None
    person: str | None
    why: dict[str, Any]
    updates: int = Field(description="How many it stands for.")
    bundled_into: int | None
    created_at: datetime
    next_try_at: datetime | None
    attempts: int
    answer: str | None = Field(description="What was said last.")
    ended_at: datetime | None


class DeliveryDetailOut(DeliveryOut):
    """A delivery with every try, oldest first, and the ways that were given up."""

    tries: list[AttemptOut]
    ways: list[str]


class DeliveryPageOut(Out):
    items: list[DeliveryOut]
    next: str | None


class TestedOut(Out):
    """What came of a test message. Neither delivered nor dead: nothing was known in time; the delivery tells later."""

    delivered: bool
    answer: str | None
    delivery: DeliveryDetailOut


class DeliveryQueryIn(QueryIn):
    ticket: int | None = Field(None, ge=1, le=2**53)
    channel: Word | None = Field(None, examples=["ops-webhook"])
    person: Word | None = Field(None, examples=["ana"])
    kind: Kind | None = None
    state: State | None = None
    since: InstantIn | None = Field(None, description="An instant, or how long ago: 15m, 2h, 7d.", examples=["2h"])


class ReplayIn(In):
    """Which of what was given up; all that is given must hold."""

    ticket: int | None = Field(None, ge=1, le=2**53)
    channel: Word | None = Field(None, examples=["ops-webhook"])
    person: Word | None = None
    kind: _Short | None = None
    since: InstantIn | None = Field(None, examples=["2h"])


class ReplayedOut(Out):
    """How many wait to be sent again. `more`: there are more of them; ask again."""

    replayed: int
    more: bool


def channel_fields(row: ChannelRow, state: StateRow, channels: Mapping[str, Channel], now: datetime) -> dict[str, Any]:
    """A channel as the API shows it."""
    definition = row.definition
    known = channels.get(definition.kind)
    secrets = frozenset(definition.config) if known is None else known.secrets
    names = ("name", "kind", "fallback", "template", *_LIMITS)
    return {
        **{name: getattr(definition, name) for name in names},
        **{name: getattr(row, name) for name in ("disabled_reason", "disabled_at", "version", "created_at")},
        "config": masked(definition.config, secrets),
        "kinds": None if definition.kinds is None else list(definition.kinds),
        "breaker": state.breaker.gate(now).value,
        "failures": state.breaker.failures,
        "open_since": state.breaker.opened_at,
        "next_probe_at": state.breaker.probe_at,
        "held_until": state.held_until if state.held_until is not None and state.held_until > now else None,
        "last_success_at": state.ok_at,
        "last_error_at": state.error_at,
        "last_error": state.error,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by,
    }


def channel_detail(found: Watched, channels: Mapping[str, Channel], now: datetime) -> ChannelDetailOut:
    return ChannelDetailOut(
        **channel_fields(found.row, found.state, channels, now),
        queued=found.queue.waiting,
        oldest_queued_at=found.queue.oldest_at,
        dead=found.dead,
    )


def delivery_fields(found: Delivery, now: datetime) -> dict[str, Any]:
    """A delivery as the API shows it."""
    same = ("id", "message_id", "ticket_id", "event_id", "channel", "method_id", "person", "bundled_into", "created_at")
    return {
        **{name: getattr(found, name) for name in (*same, "attempts", "answer", "ended_at")},
        "kind": found.kind.value,
        "state": found.state.value,
        "sending": found.is_sending(now),
        "why": dict(found.why),
        "updates": found.bundled,
        "next_try_at": found.due_at if found.state is State.WAITING and not found.is_sending(now) else None,
    }


def delivery_detail(found: Delivery, tries: list[Attempt], now: datetime) -> DeliveryDetailOut:
    return DeliveryDetailOut(
        **delivery_fields(found, now),
        tries=[AttemptOut.model_validate(one) for one in tries],
        ways=list(found.ways),
    )


def kind_out(kind: ChannelKind) -> ChannelKindOut:
    return ChannelKindOut(
        kind=kind.name,
        about=kind.about,
        needs=[NeededOut(setting=setting, detail=detail) for setting, detail in kind.needs.items()],
        settings=list(kind.settings),
        secrets=list(kind.secrets),
        personal=kind.personal,
    )
