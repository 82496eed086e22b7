"""Use cases of silences: make, change, end, find; and the timer that tells of their beginnings and ends."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from tocsin.alerts import rule_store, silence_store
from tocsin.alerts.silence_checks import Draft, check_changes, check_times, silence_of
from tocsin.alerts.silence_store import Hidden, SilenceRow
from tocsin.alerts.silencing import State
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound, PreconditionFailed
from tocsin.kit.events import SilenceEnded, SilenceSaved, SilenceStarted
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

TURN: Final = "silence.turn"
LET_GO: Final = "silence.let_go"
_CURSOR: Final = "silences"
_SLICE: Final = 200


def get(tx: ReadTx, silence_id: int) -> SilenceRow:
    """One silence. Raises NotFound."""
    found = silence_store.get(tx, silence_id)
    if found is None:
        raise NotFound(what="silence", id=silence_id)
    return found


def hidden(tx: ReadTx, silence_id: int) -> Hidden:
    """What a silence has hidden so far."""
    return silence_store.hidden(tx, [silence_id]).get(silence_id, Hidden())


def create(tx: Tx, draft: Draft, *, baseline_n: int | None = None, applied_as: str | None = None) -> SilenceRow:
    """Make a silence; every process has it before its next commit. Raises Invalid.

    `baseline_n`: how many records in the hour before it would have hidden; one that may break needs it. `applied_as`:
    what the file that it comes from calls it.
    """
    silence = replace(silence_of(draft, tx.now), version=1, baseline_n=baseline_n, applied_as=applied_as)
    rule_store.next_ruleset_version(tx)
    silence_id = silence_store.add(tx, silence)
    _told(tx, silence_id, ())
    _take_turn(tx, silence_id)
    return get(tx, silence_id)


def change(tx: Tx, silence_id: int, changes: Mapping[str, Any], *, seen_version: int | None = None) -> SilenceRow:
    """Extend or shorten a silence (`ends_at`), say another `reason`, `owner` or `applied_as`.

    What changes nothing makes no version.
    Raises NotFound, Invalid, PreconditionFailed, and Conflict when it is over.
    """
    before = _held(tx, silence_id, seen_version).silence
    after = replace(before, **changes)
    check_changes(owner=after.owner, reason=after.reason)
    changed = tuple(name for name in sorted(changes) if getattr(before, name) != getattr(after, name))
    if before.state_at(tx.now) is State.EXPIRED:
        raise Conflict(detail=f"silence {silence_id} is over; make another one")
    if "ends_at" in changed:
        check_times(after, tx.now)
    if changed:
        silence_store.set_edited(tx, before, **{name: getattr(after, name) for name in changed})
        _told(tx, silence_id, changed)
        _take_turn(tx, silence_id)
    return get(tx, silence_id)


def end(tx: Tx, silence_id: int, *, seen_version: int | None = None) -> SilenceRow:
    """End a silence now, also one that has not begun. Raises NotFound, PreconditionFailed, Conflict when it is over."""
    before = _held(tx, silence_id, seen_version).silence
    if before.state_at(tx.now) is State.EXPIRED:
        raise Conflict(detail=f"silence {silence_id} is over already")
    silence_store.set_edited(tx, before, ends_at=tx.now)
    _told(tx, silence_id, ("ends_at",))
    _take_turn(tx, silence_id, early=True)
    return get(tx, silence_id)


def take_turn(tx: Tx, timer: Timer) -> None:
    """An occurrence begins or ends: tell of it, and have what an ended one hid looked at."""
    _take_turn(tx, int(timer.subject))


def _held(tx: Tx, silence_id: int, seen_version: int | None) -> SilenceRow:
    found = silence_store.hold(tx, [silence_id]).get(silence_id)
    if found is None:
        raise NotFound(what="silence", id=silence_id)
    if seen_version is not None and seen_version != found.silence.version:
        raise PreconditionFailed(version=found.silence.version, wanted=seen_version)
    return found


def _told(tx: Tx, silence_id: int, changed: tuple[str, ...]) -> None:
    silence = get(tx, silence_id).silence
    tx.emit(
        SilenceSaved(
            silence.id,
            version=silence.version,
            matcher=silence.matcher,
            owner=silence.owner,
            reason=silence.reason,
            starts_at=silence.starts_at,
            ends_at=silence.ends_at,
            recurrence=silence.recurrence,
            changed=changed,
        )
    )


def _take_turn(tx: Tx, silence_id: int, *, early: bool = False) -> None:
    held = silence_store.hold(tx, [silence_id]).get(silence_id)
    if held is None:
        return
    silence, started_at = held.silence, held.started_at
    span = silence.occurrence_at(tx.now)
    told: dict[str, datetime | None] = {}
    if started_at is not None and (span is None or span.start != started_at):
        tx.emit(SilenceEnded(silence_id, started_at=started_at, early=early))
        timers.put(tx, LET_GO, str(silence_id), due_at=tx.now, version=silence.version)
        told, started_at = {"started_at": None, "closed_at": tx.now}, None
    if span is not None and started_at is None:
        tx.emit(SilenceStarted(silence_id, until=span.end))
        told["started_at"] = span.start
    if told:
        silence_store.set_told(tx, silence_id, **told)
    due_at = silence.next_turn(tx.now)
    if due_at is None:
        timers.drop(tx, TURN, str(silence_id))
        rule_store.next_ruleset_version(tx)  # so that nobody asks its matcher about records any more
    else:
        timers.put(tx, TURN, str(silence_id), due_at=due_at, version=silence.version)


def find(
    database: Database, *, state: State | None, cursor: str | None, limit: int
) -> tuple[list[tuple[SilenceRow, Hidden]], str | None]:
    """A page of silences in a state, newest first, with what they hide, and the cursor of the next."""
    before = None if cursor is None else int(decode_cursor(cursor, _CURSOR, int)[0])

    def look(tx: ReadTx) -> list[tuple[SilenceRow, Hidden]]:
        rows = _in_state(tx, state, before=before, most=limit + 1)
        hides = silence_store.hidden(tx, [row.silence.id for row in rows]) if rows else {}
        return [(row, hides.get(row.silence.id, Hidden())) for row in rows]

    found = database.read(look)
    items = found[:limit]
    return items, encode_cursor(_CURSOR, items[-1][0].silence.id) if len(found) > limit else None


def _in_state(tx: ReadTx, state: State | None, *, before: int | None, most: int) -> list[SilenceRow]:
    """States follow from dates, some by way of a recurrence: they are worked out here, a slice of rows at a time."""
    over = None if state is None else state is State.EXPIRED
    found: list[SilenceRow] = []
    while len(found) < most:
        rows = silence_store.page(tx, over=over, before=before, limit=max(most, _SLICE))
        found += [row for row in rows if state in {None, row.silence.state_at(tx.now)}]
        if len(rows) < max(most, _SLICE):
            break
        before = rows[-1].silence.id
    return found[:most]
