"""Every query that looks back: the commit of a record, the rules there were then, verdicts, what followed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, tuple_

from tocsin.alerts.model import alerts, rule_versions, verdicts, windows
from tocsin.alerts.rules import Rule, rule_of
from tocsin.alerts.store import Alert
from tocsin.alerts.windows import reach
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.events import (
    LogsExpired,
    LogsParked,
    LogsStored,
    LogsUnparked,
    StormBegan,
    TicketAbsorbed,
    TicketMerged,
    TicketOpened,
    TicketSplitOff,
)
from tocsin.logs.model import chunks
from tocsin.logs.record import Record
from tocsin.proof.facts import Commit, Entry, Happening, Verdict, Waiting
from tocsin.storage.model import events, parked
from tocsin.storage.tx import ReadTx

EVENTS_OF_A_COMMIT: Final = 20_000  # where a parking is looked for behind the commit that it is of
FIRST_RULESET: Final = 1
MAX_IN_WINDOW: Final = 10_000  # verdicts that are looked through for the beginning of a window
SKEW: Final = timedelta(minutes=5)  # so far ahead of its arrival, a record's time is believed


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many commits, and about how many records of them, are gone through at once."""

    commits: int = 10_000
    records: int = 262_144


AT_ONCE: Final = Bounds()


_EVENT: Final = (events.c.id, events.c.at, events.c.kind, events.c.subject, events.c.actor, events.c.cause_id,
                 events.c.data)  # fmt: skip


_VERDICT: Final = (
    verdicts.c.event_id,
    verdicts.c.rule,
    verdicts.c.rule_version,
    verdicts.c.fingerprint,
    verdicts.c.verdict,
    verdicts.c.would,
    verdicts.c.n,
    verdicts.c.late,
    verdicts.c.first_id.label("first_log_id"),
    verdicts.c.last_id.label("last_log_id"),
    verdicts.c.alert_id,
    verdicts.c.suppressed_by,
)
_WAITING: Final = (
    parked.c.event_id,
    parked.c.rule,
    parked.c.first_id.label("first_log_id"),
    parked.c.last_id.label("last_log_id"),
    parked.c.attempts,
    parked.c.error,
)


def commit_of(tx: ReadTx, record: Record) -> Commit | None:
    """The commit that stored a record; None when the event list does not have it."""
    inside = (chunks.c.first_id <= record.id) & (chunks.c.last_id >= record.id)
    of_chunk = select(chunks.c.event_id).where(inside).order_by(chunks.c.first_id.desc()).limit(1)
    event_id = tx.execute(of_chunk).scalar_one_or_none()
    if event_id is not None:
        return _commit(tx, events.c.id == event_id, record.id)
    # It is compacted: its commit has the instant of its arrival.
    then = (events.c.kind == LogsStored.__name__) & (events.c.at == record.observed_at)
    return _commit(tx, then, record.id)


def _commit(tx: ReadTx, condition: ColumnElement[bool], record_id: int) -> Commit | None:
    for row in tx.execute(select(events.c.id, events.c.at, events.c.data).where(condition).order_by(events.c.id)):
        first_id, last_id = row.data["first_id"], row.data["last_id"]
        if first_id <= record_id <= last_id:
            # Before rules had versions there was the seed rule alone, as it is in the first state.
            return Commit(row.id, row.at, first_id, last_id, row.data.get("ruleset") or FIRST_RULESET)
    return None


def rules_at(tx: ReadTx, ruleset: int) -> list[Rule]:
    """The rules there were in that state, also those that were switched off, by name."""
    newest = (
        select(rule_versions.c.name, func.max(rule_versions.c.version))
        .where(rule_versions.c.ruleset <= ruleset)
        .group_by(rule_versions.c.name)
    )
    inside = tuple_(rule_versions.c.name, rule_versions.c.version).in_(newest)
    found = tx.execute(select(rule_versions).where(inside).order_by(rule_versions.c.name))
    return [rule_of(row.name, row.version, row.definition) for row in found if row.definition is not None]


def verdicts_over(tx: ReadTx, commit: Commit, record_id: int) -> list[Verdict]:
    """The verdicts of a commit whose records lie around one; some may be about others than it."""
    around = verdicts.c.first_id.between(commit.first_log_id, record_id) & (verdicts.c.last_id >= record_id)
    mine = around & (verdicts.c.event_id == commit.event_id)
    return [Verdict(**row._mapping) for row in tx.execute(select(*_VERDICT).where(mine).order_by(verdicts.c.id))]


def verdicts_between(tx: ReadTx, first_id: int, last_id: int) -> list[Verdict]:
    """The verdicts of the commits of these records."""
    inside = verdicts.c.first_id.between(first_id, last_id)
    return [Verdict(**row._mapping) for row in tx.execute(select(*_VERDICT).where(inside).order_by(verdicts.c.id))]


def waiting_over(tx: ReadTx, commit: Commit, record_id: int) -> list[Waiting]:
    """What a record waits for."""
    mine = (parked.c.event_id == commit.event_id) & (parked.c.first_id <= record_id) & (parked.c.last_id >= record_id)
    return [Waiting(**row._mapping) for row in tx.execute(select(*_WAITING).where(mine).order_by(parked.c.id))]


def waiting_between(tx: ReadTx, first_id: int, last_id: int) -> list[Waiting]:
    """What some of these records wait for."""
    touching = (parked.c.first_id <= last_id) & (parked.c.last_id >= first_id)
    return [Waiting(**row._mapping) for row in tx.execute(select(*_WAITING).where(touching).order_by(parked.c.id))]


def retried(tx: ReadTx, commit: Commit, record_id: int) -> list[Happening]:
    """The events that tell how a record was parked and worked off later, oldest first. Nearly always there are none."""
    follows = (events.c.cause_id == commit.event_id) & (events.c.id > commit.event_id)
    parking = follows & (events.c.kind == LogsParked.__name__)
    soon = parking & (events.c.id <= commit.event_id + EVENTS_OF_A_COMMIT)
    if tx.execute(select(events.c.id).where(soon).limit(1)).one_or_none() is None:
        return []
    either = follows & events.c.kind.in_([LogsParked.__name__, LogsUnparked.__name__])
    found = [_happening(row) for row in tx.execute(select(*_EVENT).where(either).order_by(events.c.id))]
    return [one for one in found if one.data["first_id"] <= record_id <= one.data["last_id"]]


_ENTRY: Final = (events.c.id, events.c.at, events.c.data, events.c.position)


def entries_from(tx: ReadTx, at: datetime, until: datetime, *, position: int, most: Bounds) -> list[Entry]:
    """The first commits at instants in [`at`, `until`) that are not before a position, by instant: up to `most`, and
    those of the same instant as the last."""
    mine = (events.c.kind == LogsStored.__name__) & (events.c.at >= at) & (events.c.at < until)
    ordered = select(*_ENTRY).where(mine, events.c.position >= position).order_by(events.c.at, events.c.position)
    return _first_of(tx, ordered, most, lambda last, entry: entry.at == last.at)


def entries_at(tx: ReadTx, position: int, horizon: int, *, most: Bounds) -> list[Entry]:
    """The first commits at positions in [`position`, `horizon`), in that order: up to `most`."""
    mine = (events.c.kind == LogsStored.__name__) & (events.c.position >= position) & (events.c.position < horizon)
    ordered = select(*_ENTRY).where(mine).order_by(events.c.position, events.c.id)
    return _first_of(tx, ordered, most, lambda last, entry: entry.position == last.position)


def _first_of(tx: ReadTx, ordered: Any, most: Bounds, alike: Callable[[Entry, Entry], bool]) -> list[Entry]:
    found: list[Entry] = []
    records = 0
    # One more tells whether the last has others like it; what few there are of them is asked for again and again.
    with tx.execute(ordered.execution_options(yield_per=1000)) as rows:
        for row in rows:
            entry = _entry(row)
            if (len(found) >= most.commits or records >= most.records) and not alike(found[-1], entry):
                break
            found.append(entry)
            records += entry.accepted
    return found


def _entry(row: Any) -> Entry:
    data = row.data
    return Entry(
        event_id=row.id,
        at=row.at,
        first_log_id=data["first_id"],
        last_log_id=data["last_id"],
        ruleset=data.get("ruleset") or FIRST_RULESET,
        accepted=data["accepted"],
        rejected=data["rejected"],
        sources=data.get("sources"),
        position=row.position,
    )


def next_commit_at(tx: ReadTx, at: datetime, until: datetime, *, position: int) -> datetime | None:
    """The instant of the first commit in [`at`, `until`) that is not before a position."""
    mine = (events.c.kind == LogsStored.__name__) & (events.c.at >= at) & (events.c.at < until)
    first = select(events.c.at).where(mine, events.c.position >= position).order_by(events.c.at).limit(1)
    found: datetime | None = tx.execute(first).scalar_one_or_none()
    return found


def retries_of(tx: ReadTx, first_event: int, last_event: int) -> list[Happening]:
    """All parkings, and their ends, of commits whose events have these ids, oldest first."""
    either = events.c.kind.in_([LogsParked.__name__, LogsUnparked.__name__]) & (events.c.id > first_event)
    theirs = either & events.c.cause_id.between(first_event, last_event)
    return [_happening(row) for row in tx.execute(select(*_EVENT).where(theirs).order_by(events.c.id))]


def unsealed_losses(tx: ReadTx, event_id: int = 0) -> int:
    """How many records retention has removed since an event whose books were not sealed before."""
    removed = select(events.c.data).where(events.c.kind == LogsExpired.__name__, events.c.id > event_id)
    return sum(data["records"] for data in tx.execute(removed).scalars() if not data.get("sealed"))


def window_now(tx: ReadTx, rule: str, fingerprint: str) -> tuple[int, int] | None:
    """How many hits, and how many records in all, a group's window holds now, as of its newest record."""
    same = (windows.c.rule == rule) & (windows.c.fingerprint == fingerprint)
    row = tx.execute(select(windows.c.counts, windows.c.totals).where(same)).one_or_none()
    return None if row is None else (sum(row.counts), sum(row.totals))


def event(tx: ReadTx, event_id: int) -> Happening | None:
    row = tx.execute(select(*_EVENT).where(events.c.id == event_id)).one_or_none()
    return None if row is None else _happening(row)


def storm_of(tx: ReadTx, ticket_id: int) -> Happening | None:
    """The event that tells how the storm of a ticket began."""
    mine = (events.c.subject == f"ticket:{ticket_id}") & (events.c.kind == StormBegan.__name__)
    row = tx.execute(select(*_EVENT).where(mine).order_by(events.c.id).limit(1)).one_or_none()
    return None if row is None else _happening(row)


def events_of_alert(tx: ReadTx, alert_id: int, ticket_id: int | None) -> list[Happening]:
    """An alert's events and those by which it came to its ticket, oldest first."""
    found = [_happening(row) for row in tx.execute(_of_subject(f"alert:{alert_id}"))]
    if ticket_id is not None and found:
        own = [one.id for one in found]  # that it opened, or that it was suppressed no longer
        brought = _of_subject(f"ticket:{ticket_id}").where(events.c.cause_id.in_(own))
        found += [_happening(row) for row in tx.execute(brought)]
    return sorted(found, key=lambda one: one.id)


_MOST_MOVES: Final = 1_000


def moved_by(tx: ReadTx, alert_id: int, ticket_id: int) -> Happening | None:
    """The newest event by which people brought an alert to a ticket: a split, or a merge of the one it was in."""
    kinds = events.c.kind.in_([TicketSplitOff.__name__, TicketAbsorbed.__name__])
    told = select(*_EVENT).where(events.c.subject == f"ticket:{ticket_id}", kinds).order_by(events.c.id.desc())
    for row in tx.execute(told.limit(_MOST_MOVES)).all():
        one = _happening(row)
        ids = one.data.get("alert_ids")
        if alert_id in (_merged(tx, one.data["other_id"], ticket_id) if ids is None else ids):
            return one
    return None


def _merged(tx: ReadTx, other_id: int, into_id: int) -> Sequence[int]:
    """The alerts that went over when a ticket was merged into another one the last time."""
    mine = (events.c.subject == f"ticket:{other_id}") & (events.c.kind == TicketMerged.__name__)
    data = tx.execute(select(events.c.data).where(mine).order_by(events.c.id.desc()).limit(1)).scalar_one_or_none()
    return data["alert_ids"] if data is not None and data["into_id"] == into_id else ()


def _of_subject(subject: str) -> Any:
    return select(*_EVENT).where(events.c.subject == subject).order_by(events.c.id)


def _happening(row: Any) -> Happening:
    return Happening(**row._mapping)


def counted_on(tx: ReadTx, alert_id: int) -> tuple[dict[str, int], int]:
    """How many records have which verdict on an alert, and how many of them were late for their window."""
    columns = (verdicts.c.verdict, func.sum(verdicts.c.n), func.sum(verdicts.c.late))
    found: Sequence[Any] = tx.execute(
        select(*columns).where(verdicts.c.alert_id == alert_id).group_by(verdicts.c.verdict)
    ).all()
    return {row[0]: int(row[1]) for row in found}, sum(int(row[2]) for row in found)


def first_alert_of_ticket(tx: ReadTx, ticket_id: int) -> int | None:
    """The alert that opened a ticket, wherever it is by now; None for one that a person opened.

    Merges, storms and alerts that are gathered bring others that are older: which one it was says its first event.
    """
    opened = next((one for one in events_of_ticket(tx, ticket_id, limit=1) if one.kind == TicketOpened.__name__), None)
    if opened is not None:
        found: int | None = opened.data["alert_id"]
        return found
    oldest = select(func.min(alerts.c.id)).where(alerts.c.ticket_id == ticket_id)
    lowest: int | None = tx.execute(oldest).scalar_one()
    return lowest


def first_record_of_ticket(tx: ReadTx, ticket_id: int) -> int | None:
    """The record that a ticket began with: the first one of the alert that opened it."""
    alert_id = first_alert_of_ticket(tx, ticket_id)
    first = select(alerts.c.first_record_id).where(alerts.c.id == alert_id)
    found: int | None = tx.execute(first).scalar_one_or_none()
    return found or None


def events_of_ticket(tx: ReadTx, ticket_id: int, *, limit: int) -> list[Happening]:
    """The first events of a ticket."""
    return [_happening(row) for row in tx.execute(_of_subject(f"ticket:{ticket_id}").limit(limit))]


def merge_of_alert(tx: ReadTx, ticket_id: int, alert_id: int) -> int | None:
    """The ticket with which an alert came to this one, when that was merged into it."""
    absorbed = _of_subject(f"ticket:{ticket_id}").where(events.c.kind == TicketAbsorbed.__name__)
    for one in [_happening(row) for row in tx.execute(absorbed)]:
        other = one.data["other_id"]
        merged = _of_subject(f"ticket:{other}").where(events.c.kind == TicketMerged.__name__)
        if any(alert_id in row.data["alert_ids"] for row in tx.execute(merged)):
            return int(other)
    return None


def window_began_with(tx: ReadTx, alert: Alert, *, window_s: int) -> int | None:
    """The record that the window of an alert began with, which its first one completed; that itself, if it needed no
    other. What came in before the alert's like of earlier is not among them: an episode empties its window."""
    then = alert.opened_at - timedelta(seconds=window_s) - SKEW
    mine = (events.c.kind == LogsStored.__name__) & (events.c.at >= then) & (events.c.at <= alert.opened_at)
    commit = tx.execute(select(events.c.data).where(mine).order_by(events.c.at).limit(1)).scalar_one_or_none()
    if commit is None:
        return None
    around = verdicts.c.first_id.between(commit["first_id"], alert.first_record_id)
    same = around & (verdicts.c.rule == alert.rule) & (verdicts.c.fingerprint == alert.fingerprint)
    columns = (verdicts.c.verdict, verdicts.c.alert_id, verdicts.c.first_id, verdicts.c.first_at, verdicts.c.last_at)
    found, reaches = alert.first_record_id, alert.first_seen_at - timedelta(seconds=window_s)
    for row in tx.execute(select(*columns).where(same).order_by(verdicts.c.id.desc()).limit(MAX_IN_WINDOW)):
        if row.alert_id == alert.id:
            reaches = from_us(reach(to_us(row.first_at), window_s))
        elif row.verdict != "pending":
            break
        elif row.last_at >= reaches:
            found = min(found, row.first_id)
    return found or None
