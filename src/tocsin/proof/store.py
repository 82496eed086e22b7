"""Every query that looks back: the commit of a record, the rules there were then, verdicts, what followed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, tuple_

from tocsin.alerts.model import alerts, rule_versions, verdicts, windows
from tocsin.alerts.rules import Rule, rule_of
from tocsin.kit.events import LogsExpired, LogsParked, LogsStored, LogsUnparked
from tocsin.logs.model import chunks
from tocsin.logs.record import Record
from tocsin.proof.facts import Commit, Entry, Happening, Verdict, Waiting
from tocsin.storage.model import events, parked
from tocsin.storage.tx import ReadTx

CLOCKS_DIFFER: Final = timedelta(minutes=1)  # at most, between servers that share a database
EVENTS_OF_A_COMMIT: Final = 20_000  # where a parking is looked for behind the commit that it is of
FIRST_RULESET: Final = 1


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
    """The commit that stored a record; None when the event list no longer has it."""
    inside = (chunks.c.first_id <= record.id) & (chunks.c.last_id >= record.id)
    of_chunk = select(chunks.c.event_id).where(inside).order_by(chunks.c.first_id.desc()).limit(1)
    event_id = tx.execute(of_chunk).scalar_one_or_none()
    if event_id is not None:
        return _commit(tx, events.c.id == event_id, record.id)
    # It is compacted. Event ids grow with time, nearly: so the event is sought where its time must be, then everywhere.
    first = _first_event_at(tx, record.observed_at - CLOCKS_DIFFER)
    behind = _first_event_at(tx, record.observed_at + CLOCKS_DIFFER)
    near = (events.c.id >= first) & (events.c.id < behind)
    then = (events.c.kind == LogsStored.__name__) & (events.c.at == record.observed_at)
    return _commit(tx, near & then, record.id) or _commit(tx, then, record.id)


def _commit(tx: ReadTx, condition: ColumnElement[bool], record_id: int) -> Commit | None:
    for row in tx.execute(select(events.c.id, events.c.at, events.c.data).where(condition).order_by(events.c.id)):
        first_id, last_id = row.data["first_id"], row.data["last_id"]
        if first_id <= record_id <= last_id:
            # Before rules had versions there was the seed rule alone, as it is in the first state.
            return Commit(row.id, row.at, first_id, last_id, row.data.get("ruleset") or FIRST_RULESET)
    return None


def _first_event_at(tx: ReadTx, at: datetime) -> int:
    """The id of the first event recorded at or after an instant, by halving; as if ids were in the order of time."""
    low, high = 0, int(tx.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one()) + 1
    while low < high:
        middle = (low + high) // 2
        seen = select(events.c.id, events.c.at).where(events.c.id >= middle).order_by(events.c.id).limit(1)
        row = tx.execute(seen).one_or_none()
        if row is None or row.at >= at:
            high = middle
        else:
            low = row.id + 1
    return low


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


def rule_version(tx: ReadTx, name: str, version: int) -> Rule | None:
    """What a rule said in that version."""
    same = (rule_versions.c.name == name) & (rule_versions.c.version == version)
    definition = tx.execute(select(rule_versions.c.definition).where(same)).scalar_one_or_none()
    return None if definition is None else rule_of(name, version, definition)


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


def commits_within(tx: ReadTx, since: datetime, until: datetime) -> tuple[int, datetime | None]:
    """How many commits there are at instants in [since, until), and the earliest instant of them. Reads all events."""
    mine = (events.c.kind == LogsStored.__name__) & (events.c.at >= since) & (events.c.at < until)
    row = tx.execute(select(func.count(), func.min(events.c.at)).where(mine)).one()
    return row[0], row[1]


def entries(tx: ReadTx, since: datetime, until: datetime, *, near: bool) -> list[Entry]:
    """The commits at instants in [since, until), by the ids of their records. `near`: sought only where they are when
    events are in the order of time, which a clock that was set back spoils."""
    mine = (events.c.kind == LogsStored.__name__) & (events.c.at >= since) & (events.c.at < until)
    if near:
        mine &= events.c.id >= _first_event_at(tx, since - CLOCKS_DIFFER)
        mine &= events.c.id < _first_event_at(tx, until + CLOCKS_DIFFER)
    found = [_entry(row) for row in tx.execute(select(events.c.id, events.c.at, events.c.data).where(mine))]
    return sorted(found, key=lambda one: one.first_log_id)


def _entry(row: Any) -> Entry:
    data = row.data
    ruleset = data.get("ruleset") or FIRST_RULESET
    return Entry(row.id, row.at, data["first_id"], data["last_id"], ruleset, data["accepted"], data["rejected"])


def retries_since(tx: ReadTx, event_id: int) -> list[Happening]:
    """All parkings and their ends behind an event, oldest first."""
    either = events.c.kind.in_([LogsParked.__name__, LogsUnparked.__name__]) & (events.c.id > event_id)
    return [_happening(row) for row in tx.execute(select(*_EVENT).where(either).order_by(events.c.id))]


def expired_since(tx: ReadTx, event_id: int) -> int:
    """How many records retention has removed since an event."""
    removed = select(events.c.data).where(events.c.id > event_id, events.c.kind == LogsExpired.__name__)
    return sum(data["records"] for data in tx.execute(removed).scalars())


def window_now(tx: ReadTx, rule: str, fingerprint: str) -> tuple[int, int] | None:
    """How many hits, and how many records in all, a group's window holds now, as of its newest record."""
    same = (windows.c.rule == rule) & (windows.c.fingerprint == fingerprint)
    row = tx.execute(select(windows.c.counts, windows.c.totals).where(same)).one_or_none()
    return None if row is None else (sum(row.counts), sum(row.totals))


def event(tx: ReadTx, event_id: int) -> Happening | None:
    row = tx.execute(select(*_EVENT).where(events.c.id == event_id)).one_or_none()
    return None if row is None else _happening(row)


def events_of_alert(tx: ReadTx, alert_id: int, ticket_id: int | None) -> list[Happening]:
    """An alert's events and those by which it came to its ticket, oldest first."""
    found = [_happening(row) for row in tx.execute(_of_subject(f"alert:{alert_id}"))]
    if ticket_id is not None and found:
        brought = _of_subject(f"ticket:{ticket_id}").where(events.c.cause_id == found[0].id)
        found += [_happening(row) for row in tx.execute(brought)]
    return sorted(found, key=lambda one: one.id)


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


def first_record_of_ticket(tx: ReadTx, ticket_id: int) -> int | None:
    """The record that a ticket began with: the first one of its first alert."""
    first = select(alerts.c.first_record_id).where(alerts.c.ticket_id == ticket_id).order_by(alerts.c.id).limit(1)
    found: int | None = tx.execute(first).scalar_one_or_none()
    return found
