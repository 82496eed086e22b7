"""The template miner: which messages are of one kind, learned online from nothing but the order of their arrival.

A message becomes a *kind* (whatever holds a digit is masked), a kind becomes a *skeleton* (tokens; what its form shows
to be variable is masked), and a skeleton becomes a *template* (words that turned out to be variable are masked). Most
messages are of a kind met before and cost one look-up. A template is a value: the text of a group never changes. When
a place turns out to be variable, a group is made for the wider template and stands for the old ones from then on.

It is pure and deterministic, and every part of it is bounded; beyond the bounds groups get coarser.

Several workers can each have a miner and share a database. Ids of groups are a worker's own, texts are shared:

* a group that is new to the worker: insert `template(group)` on conflict do nothing, and read the id of the row back;
* after every batch `merges(since)`: each is an alias, the old group's row -> the new one's. The miner only ever merges
  into wider templates, so aliases of different workers lead the same way; one whose two ends resolve to the same row
  already, as merges asked for by people can bring about, is skipped;
* aliases are resolved where alerts are correlated, not at arrival: a group may be merged long after its first message;
* `dump()` goes to the database now and then. A worker that starts loads the newest and goes on from there; what it
  learns for the second time has the same text, hence the same row.
"""

from typing import Final, NamedTuple

import msgspec

from tocsin.alerts.skeletons import HEAD_CHARS, head_of, kind_of, skeleton_of
from tocsin.alerts.templates import Templates

MAX_KINDS: Final = 30_000
MAX_KIND_CHARS: Final = 4_000_000

_WITHOUT_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")


class Merge(NamedTuple):
    """The group `new` stands for `old` since."""

    old: int
    new: int


class State(msgspec.Struct):
    """What a miner knows. The kinds belong to it: a kind keeps its group though the templates would now say another."""

    templates: Templates = msgspec.field(default_factory=Templates)
    kinds: dict[str, int] = {}
    kind_chars: int = 0


class Miner:
    """Groups messages; for one thread."""

    def __init__(self) -> None:
        self._set(State())

    def _set(self, state: State) -> None:
        self._state = state
        self._groups = state.templates.groups
        # Kinds again, by the bytes of a message with its digits made alike: a shortcut that changes no result.
        self._seen: dict[bytes, int] = {}
        self._seen_chars = 0

    def group_of(self, message: str) -> int:
        """The group that the message belongs to now. It may be merged into another later: see `find`."""
        head = message if len(message) <= HEAD_CHARS and "\n" not in message else head_of(message)
        blind = head.encode("utf-8", "surrogatepass").translate(_WITHOUT_DIGITS)
        group = self._seen.get(blind)
        if group is None or self._groups.parents[group] != group:
            group = self._seen[blind] = self._groups.find(self._group_of_blind(blind) if group is None else group)
        self._groups.lines[group] += 1
        return group

    def known_group_of(self, message: str) -> int | None:
        """The group of a message that has nothing to teach; None for one that has. Nothing is learned or counted."""
        blind = head_of(message).encode("utf-8", "surrogatepass").translate(_WITHOUT_DIGITS)
        kind = kind_of(blind.decode("utf-8", "surrogatepass"))
        group = self._state.kinds.get(kind)
        if group is None:
            group = self._state.templates.known_group_of(skeleton_of(kind))
        return None if group is None else self._groups.find(group)

    def find(self, group: int) -> int:
        """The group that stands for this one now, which may be itself. IndexError for an id that was never given."""
        return self._groups.find(group)

    def template(self, group: int) -> str:
        """The text of the group that stands for this one now, with variables as `<*>`."""
        return self._groups.text(group)

    def lines(self, group: int) -> int:
        """How many messages the group got, with those of the groups it stands for."""
        return self._groups.lines[self.find(group)]

    def merge(self, into: int, other: int) -> bool:
        """Let the group of `into` stand for that of `other` too; False when it did already."""
        return self._groups.merge(into, other)

    def merges(self, since: int = 0) -> list[Merge]:
        """All merges from the given position on, the miner's own and those asked for, in their order."""
        return [Merge(old, new) for old, new in self._groups.merges[since:]]

    @property
    def learned(self) -> tuple[int, ...]:
        """Changes whenever the miner learned something: all that a dump holds but for how many lines there were."""
        state = self._state
        return len(self._groups.parents), len(self._groups.merges), len(state.kinds), state.kind_chars

    def dump(self) -> bytes:
        """Everything: a miner that loads this goes on as if it were this one."""
        return msgspec.msgpack.encode(self._state)

    @classmethod
    def load(cls, dumped: bytes) -> "Miner":
        """A miner from what `dump` gave. `msgspec.ValidationError` or `msgspec.DecodeError` for anything else."""
        miner = cls()
        miner._set(msgspec.msgpack.decode(dumped, type=State))
        return miner

    def _group_of_blind(self, blind: bytes) -> int:
        kind = kind_of(blind.decode("utf-8", "surrogatepass"))
        state = self._state
        group = state.kinds.get(kind)
        if group is None:
            group = state.templates.group_of(skeleton_of(kind))
            if len(state.kinds) >= MAX_KINDS or state.kind_chars >= MAX_KIND_CHARS:
                state.kinds.clear()
                state.kind_chars = 0
                self._forget_seen()
            state.kinds[kind] = group
            state.kind_chars += len(kind)
        if len(self._seen) >= 2 * MAX_KINDS or self._seen_chars >= 2 * MAX_KIND_CHARS:
            self._forget_seen()
        self._seen_chars += len(blind)
        return group

    def _forget_seen(self) -> None:
        self._seen.clear()
        self._seen_chars = 0
