"""Use cases of stage 2: apply what detection found, roll counts up, read alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from tocsin.alerts import novelty, placing, rule_store, store, window_store
from tocsin.alerts.detect import merge
from tocsin.alerts.store import Alert
from tocsin.alerts.thresholds import Share, weigh_all
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound
from tocsin.kit.events import (
    AlertEnded,
    AlertOpened,
    AlertQuieted,
    LogsStored,
    Matched,
    Recorded,
    RuleBroken,
    Undecided,
)
from tocsin.storage import parking, timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import Tx

TRIES: Final = 5
ROLL_UP_SLICE: Final = 50
QUIET: Final = "alert.quiet"
GIVE_UP_AFTER: Final = timedelta(minutes=10)
_CURSOR: Final = "alerts"


def apply(tx: Tx, stored: Sequence[Recorded[LogsStored]]) -> None:
    """Give every match its verdict: open an alert for a fingerprint that has none, count on the one it has.

    Records that a rule raised on are parked for that rule: the parked row is their verdict until a retry gives them the
    one they should have had, or the rule has been broken for so long that they get the verdict `parked` for good.
    """
    for recorded in stored:
        matches = merge(recorded.event.matches)
        live = [match for match in matches if not match.backfill]
        rows = [_verdict(recorded, match, "backfill") for match in matches if match.backfill and match.n]
        novelty.learn_from(tx, [m for m in matches if m.backfill and m.learn_s is not None])
        shares = [Share(match, None, 0) for match in live if not match.window_s and match.learn_s is None]
        shares += novelty.weigh_new(tx, [m for m in live if m.learn_s is not None])
        windowed = placing.settle(tx, [m for m in live if m.window_s])
        shares += weigh_all(tx, windowed, observed_at=recorded.event.observed_at)
        rows += _rehearse(tx, recorded, [share for share in shares if share.match.dry_run])
        rows += _carry_out(tx, recorded, [share for share in shares if not share.match.dry_run])
        if rows:
            store.append_verdicts(tx, rows)
        if recorded.event.undecided:
            _park(tx, recorded)


def _carry_out(tx: Tx, recorded: Recorded[LogsStored], shares: list[Share]) -> list[dict[str, Any]]:
    """Open or count what is not pending; the verdicts of all."""
    live = [share.match for share in shares if share.verdict is None]
    opened, counted = _open_or_count(tx, live)
    _announce(tx, recorded, list(opened.values()))
    rows = []
    for match, verdict, late in ((share.match, share.verdict, share.late) for share in shares):
        if verdict is not None:
            rows.append(_verdict(recorded, match, verdict, late=late))
        elif match.fingerprint in opened:
            rows.append(_verdict(recorded, match, "opened", opened[match.fingerprint].alert_id, late=late))
        else:
            rows.append(_verdict(recorded, match, "counted", counted[match.fingerprint], late=late))
    return rows


def _rehearse(tx: Tx, recorded: Recorded[LogsStored], shares: list[Share]) -> list[dict[str, Any]]:
    """The verdicts of rules that only say what they would do. An episode of a dry run lasts as long as its version."""
    undecided = [share.match for share in shares if share.verdict is None]
    placed = placing.look_up_or_learn(tx, undecided)
    groups = {(m.rule, one) for m in undecided for one in placing.fingerprints_of(m, placed)}
    seen = store.rehearsed(tx, groups) if groups else set()
    rows = []
    for match, verdict, late in ((share.match, share.verdict, share.late) for share in shares):
        goes_as, would = match, verdict
        if would is None:
            goes_as = placed[match.fingerprint].match if match.fingerprint in placed else match
            alike = placing.fingerprints_of(match, placed)
            would = "counted" if any((one, match.rule_version) in seen for one in alike) else "opened"
            seen.add((goes_as.fingerprint, match.rule_version))
        rows.append(_verdict(recorded, goes_as, "dry_run", late=late, would=would))
    return rows


def _park(tx: Tx, recorded: Recorded[LogsStored]) -> None:
    """Keep what rules raised on for a retry, and show those rules as broken. Nothing of it was matched with them.

    Of a rule that has been broken for long there would be more and more to keep (and what is kept is not compacted):
    its records get the verdict `parked` at once.
    """
    by_rule: dict[str, list[Undecided]] = {}
    for one in recorded.event.undecided:
        by_rule.setdefault(one.rule, []).append(one)
    since = rule_store.broken_since(tx, by_rule)
    for rule, parts in sorted(by_rule.items()):
        if rule in since and since[rule] <= tx.now - GIVE_UP_AFTER:
            store.append_verdicts(tx, [_undecided(recorded.id, one, recorded.event.observed_at) for one in parts])
            continue
        for first_id, last_id in _ranges(parts):
            parking.park(tx, recorded.id, first_id=first_id, last_id=last_id, error=parts[0].reason, rule=rule)
    for one in rule_store.mark_broken(tx, [parts[0] for parts in by_rule.values()]):
        tx.emit(RuleBroken(one.rule, one.rule_version, reason=one.reason), causes=[recorded.id])


def _ranges(parts: Sequence[Undecided]) -> list[tuple[int, int]]:
    """The ids of all parts, in as few ranges as hold nothing else: what was decided must not be matched again."""
    ranges: list[tuple[int, int]] = []
    for one in sorted(parts, key=lambda one: one.first_id):
        if ranges and ranges[-1][1] + 1 == one.first_id:
            ranges[-1] = (ranges[-1][0], one.last_id)
        else:
            ranges.append((one.first_id, one.last_id))
    return ranges


def give_up(tx: Tx, event_id: int, undecided: Sequence[Undecided], observed_at: datetime) -> bool:
    """A rule raised again on records that wait for it. Whether it has been broken for so long that they wait no more:
    they then have the verdict `parked`."""
    since = rule_store.broken_since(tx, {one.rule for one in undecided})
    if not since or min(since.values()) > tx.now - GIVE_UP_AFTER:
        return False
    store.append_verdicts(tx, [_undecided(event_id, one, observed_at) for one in undecided])
    return True


def _undecided(event_id: int, one: Undecided, observed_at: datetime) -> dict[str, Any]:
    """The verdict of records of which it is not known whether a rule matches them: `n` is how many that may be."""
    return {
        "event_id": event_id,
        "rule": one.rule,
        "rule_version": one.rule_version,
        "fingerprint": "",
        "verdict": "parked",
        "alert_id": None,
        "n": one.last_id - one.first_id + 1,
        "first_id": one.first_id,
        "last_id": one.last_id,
        "first_at": observed_at,
        "last_at": observed_at,
        "late": 0,
        "would": None,
    }


@dataclass(frozen=True, slots=True)
class Opened:
    """An alert that this transaction opens, and the match that it is about."""

    alert_id: int
    match: Matched


def _open_or_count(tx: Tx, matches: list[Matched]) -> tuple[dict[str, Opened], dict[str, int]]:
    """By fingerprint: the alerts this transaction opens, and the ids of those that are open already."""
    by_fingerprint = {match.fingerprint: match for match in matches}
    opened: dict[str, Opened] = {}
    counted: dict[str, int] = {}
    for _ in range(TRIES):
        asked = by_fingerprint.keys() - counted.keys() - opened.keys()
        counted |= store.hold_open(tx, asked) if asked else {}
        missing = [m for f, m in by_fingerprint.items() if f not in counted and f not in opened]
        if not missing:
            return opened, counted
        placement = placing.place(tx, missing)
        counted |= placement.counted
        new = store.open_new(tx, placement.matches) if placement.matches else {}
        for match in placement.matches:
            if match.fingerprint in new:
                first, *others = placement.opening[match.fingerprint]
                opened[first] = Opened(new[match.fingerprint], match)
                counted |= dict.fromkeys(others, new[match.fingerprint])
    raise Conflict(detail="alerts were opened and ended faster than they could be counted on")


def _announce(tx: Tx, stored: Recorded[LogsStored], opened: list[Opened]) -> None:
    new = [
        AlertOpened(
            alert_id=one.alert_id,
            rule=one.match.rule,
            rule_version=one.match.rule_version,
            fingerprint=one.match.fingerprint,
            service=one.match.service,
            first_record_id=one.match.first_id,
            late_s=max(0, int((stored.event.observed_at - one.match.first_at).total_seconds())),
            match=one.match,
        )
        for one in sorted(opened, key=lambda one: one.match.first_id)
    ]
    tx.emit(*new, causes=[stored.id] * len(new))
    due_at_of = {
        str(one.alert_id): tx.now + timedelta(seconds=one.match.quiet_s)
        for one in opened
        if one.match.quiet_s is not None
    }
    timers.put_many(tx, QUIET, due_at_of, version=0)


def _verdict(
    stored: Recorded[LogsStored],
    match: Matched,
    verdict: str,
    alert_id: int | None = None,
    *,
    late: int = 0,
    would: str | None = None,
) -> dict[str, Any]:
    return {
        "event_id": stored.id,
        "rule": match.rule,
        "rule_version": match.rule_version,
        "fingerprint": match.fingerprint,
        "verdict": verdict,
        "alert_id": alert_id,
        "n": match.n,
        "first_id": match.first_id,
        "last_id": match.last_id,
        "first_at": match.first_at,
        "last_at": match.last_at,
        "late": late,
        "would": would,
    }


def end_episodes(tx: Tx, ticket_id: int) -> None:
    """End the open alerts of a ticket that is being resolved: the next such record begins a new episode."""
    ended = store.end_of_ticket(tx, ticket_id)
    tx.emit(*(AlertEnded(alert_id=alert_id, ticket_id=ticket_id) for alert_id in ended))


def end_if_quiet(tx: Tx, timer: Timer) -> None:
    """End an episode whose rule has had nothing to say for as long as it is to last; otherwise look again then.

    A rule that counts says something while its window is full, another one with each record. By the server's clock.
    """
    alert = store.hold(tx, int(timer.subject))
    row = None if alert is None else rule_store.get(tx, alert.rule)
    if alert is None or row is None or row.rule.quiet_s is None:
        return  # it has ended, or no longer ends by itself
    said_at = store.last_counted_at(tx, alert.id)
    if row.rule.window_s is not None:
        said_at = window_store.full_at(tx, alert.rule, alert.fingerprint)
    due_at = (said_at or alert.opened_at) + timedelta(seconds=row.rule.quiet_s)
    if due_at > tx.now:
        timers.put(tx, QUIET, timer.subject, due_at=due_at, version=row.rule.version)
        return
    store.end(tx, alert.id)
    if alert.ticket_id is not None:
        tx.emit(AlertQuieted(alert.id, alert.ticket_id, quiet_s=row.rule.quiet_s))


@dataclass(slots=True)
class RollUp:
    """The loop that folds verdicts into their alerts' counts, so that reading a count stays cheap."""

    database: Database

    def run(self) -> None:
        """One turn: sums are read without a lock, and written a few alerts at a time."""
        since = self.database.read(store.rolled_up_to)
        horizon = self.database.read(lambda tx: int(tx.execute(select(self.database.horizon)).scalar_one()))
        if horizon <= since:
            return
        sums = self.database.read(lambda tx: store.waiting(tx, since=since, horizon=horizon))
        for start in range(0, len(sums), ROLL_UP_SLICE):
            part = sums[start : start + ROLL_UP_SLICE]
            self.database.write(lambda tx, part=part: store.roll_up(tx, part, horizon=horizon), actor=SYSTEM)  # type: ignore[misc]
        if sums:
            self.database.write(lambda tx: store.set_rolled_up_to(tx, horizon), actor=SYSTEM)


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts: `firing` True (open), False (ended) or None (both); opened at or after `since`."""

    firing: bool | None = None
    service: str | None = None
    since: datetime | None = None
    limit: int = 100
    cursor: str | None = None


def get(database: Database, alert_id: int) -> Alert:
    """One alert with its count. Raises NotFound."""
    found = database.read(lambda tx: store.get(tx, alert_id))
    if found is None:
        raise NotFound(what="alert", id=alert_id)
    return found


def find(database: Database, query: AlertQuery) -> tuple[list[Alert], str | None]:
    """A page of alerts, newest first, and the cursor of the next."""
    after: tuple[datetime, int] | None = None
    if query.cursor is not None:
        at, last_id = decode_cursor(query.cursor, _CURSOR, int, int)
        after = (from_us(int(at)), int(last_id))
    found = database.read(
        lambda tx: store.page(
            tx,
            firing=query.firing,
            service=query.service,
            since=query.since,
            after=after,
            limit=query.limit + 1,
        )
    )
    items = found[: query.limit]
    more = len(found) > query.limit
    return items, encode_cursor(_CURSOR, to_us(items[-1].opened_at), items[-1].id) if more else None
