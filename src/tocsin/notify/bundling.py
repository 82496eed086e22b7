"""Which of the messages that are due go now, which wait to be one with others, which a channel leaves out. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tocsin.notify.message import Kind

# What nobody asked to leave out by naming the kinds that they want to hear of.
_ALWAYS: Final = frozenset({Kind.PAGE, Kind.CODE, Kind.TEST})


@dataclass(frozen=True, slots=True)
class Due:
    """A message of a channel that waits. `tried`: it went out before, and stays what it was."""

    id: int
    kind: Kind
    ticket_id: int | None
    method_id: int | None
    created_at: datetime
    urgent: bool = False
    tried: bool = False

    @property
    def thread(self) -> tuple[int | None, int | None]:
        """What it has in common with the other messages of its conversation."""
        return self.ticket_id, self.method_id

    @property
    def may_wait(self) -> bool:
        """Whether it may be one with other updates of its ticket."""
        return self.kind is Kind.UPDATED and not self.urgent and not self.tried and self.ticket_id is not None


@dataclass(slots=True)
class Arranged:
    """`send`: a message with those it stands for besides itself; `later`: nothing of its thread goes before then."""

    send: dict[int, list[int]] = field(default_factory=dict)
    later: dict[int, datetime] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)


def arrange(
    due: Sequence[Due],
    updates: Sequence[Due],
    *,
    now: datetime,
    bundle_s: float,
    kinds: Collection[Kind] | None,
    busy: Collection[tuple[int | None, int | None]],
    room: int,
) -> Arranged:
    """Choose up to `room` messages, in the order of `due`.

    `updates` are all waiting updates of the tickets in question, due or not: those of a thread go together, once the
    oldest has waited for `bundle_s` or with the next message that can't wait. One message of a thread at a time
    (`busy`: one is on its way), so that each can build on what the other side said of the one before.
    """
    found = Arranged()
    waiting = _by_thread(updates)
    taken, bundles = set(busy), set()
    for one in due:
        if kinds is not None and one.kind not in kinds and one.kind not in _ALWAYS:
            found.left_out.append(one.id)
        elif one.ticket_id is not None and one.thread in taken:
            continue
        elif one.may_wait and bundle_s > 0:
            if one.thread not in bundles and _bundle(
                one, waiting.get(one.thread, [one]), found, now=now, bundle_s=bundle_s, room=room
            ):
                taken.add(one.thread)
            bundles.add(one.thread)
        elif len(found.send) < room:
            along = [] if one.tried or one.may_wait else waiting.get(one.thread, [])
            found.send[one.id] = [update.id for update in along if update.id < one.id]
            for update_id in found.send[one.id]:
                found.later.pop(update_id, None)
            taken.add(one.thread)
    return found


def _by_thread(updates: Sequence[Due]) -> Mapping[tuple[int | None, int | None], list[Due]]:
    found: dict[tuple[int | None, int | None], list[Due]] = {}
    for update in updates:
        if update.may_wait:
            found.setdefault(update.thread, []).append(update)
    return found


def _bundle(one: Due, together: Sequence[Due], found: Arranged, *, now: datetime, bundle_s: float, room: int) -> bool:
    """The newest update speaks for all of its thread, once the bundle is closed; whether it does."""
    closes_at = min(update.created_at for update in together) + timedelta(seconds=bundle_s)
    if now < closes_at:
        found.later.update({update.id: closes_at for update in together} | {one.id: closes_at})
    elif len(found.send) < room:
        speaker = max(together, key=lambda update: update.id)
        found.send[speaker.id] = [update.id for update in together if update.id != speaker.id]
        return True
    return False
