"""The ways a message may take: a channel, or a contact method of a person; and which comes next. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Method:
    """A person's contact method: over which channel, and to which address there. `settings` come on top of the
    channel's own."""

    channel: str
    to: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, of_channel: Mapping[str, Any]) -> dict[str, Any]:
        """What the channel is to send with."""
        return {**of_channel, **self.settings, "to": self.to}


@dataclass(frozen=True, slots=True)
class Way:
    """`channel` is None for a method whose channel is still to be looked up."""

    channel: str | None
    method_id: int | None = None
    otherwise: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"channel:{self.channel}" if self.method_id is None else f"method:{self.method_id}"


def next_way(way: Way, *, fallback: str | None, gone: Sequence[str]) -> Way | None:
    """The person's next method, or else what the channel falls back to; none is taken twice."""
    barred = {*gone, way.name}
    for place, method_id in enumerate(way.otherwise):
        following = Way(None, method_id, way.otherwise[place + 1 :])
        if following.name not in barred:
            return following
    if fallback is not None and Way(fallback).name not in barred:
        return Way(fallback)
    return None
