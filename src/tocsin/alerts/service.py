"""Use cases of stage 2: apply what detection found, roll counts up, read alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from tocsin.alerts import absence_store, absences, flapping, novelty, placing, rule_store, store, window_store
from tocsin.alerts.detect import merge
from tocsin.alerts.episodes import carry_out, open_without_records, release, tell_of_flapping, verdict_row
from tocsin.alerts.hiding import apart, covering, heard, hiding_absence
from tocsin.alerts.overflow import MAX_GROUPS
from tocsin.alerts.quieting import QUIET
from tocsin.alerts.rules import WINDOWED, Kind
from tocsin.alerts.store import Alert, AlertQuery, OpenAlert
from tocsin.alerts.suppression import FLAP
from tocsin.alerts.thresholds import Share, weigh_all
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import NotFound
from tocsin.kit.events import (
    AlertEnded,
    AlertGrew,
    AlertQuieted,
    AlertUnheard,
    LogsStored,
    Matched,
    Recorded,
    RuleBroken,
    Undecided,
)
from tocsin.kit.priorities import Priority
from tocsin.storage import parking, timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

ROLL_UP_SLICE: Final = 50
GIVE_UP_AFTER: Final = timedelta(minutes=10)
_CURSOR: Final = "alerts"


def apply(tx: Tx, stored: Sequence[Recorded[LogsStored]], *, max_groups: int = MAX_GROUPS) -> None:
    """Give every match its verdict: open an alert for a fingerprint that has none, count on the one it has.

    Records that a rule raised on are parked for that rule: the parked row is their verdict until a retry gives them the
    one they should have had, or the rule has been broken for so long that they get the verdict `parked` for good.
    """
    for recorded in stored:
        matches = merge(recorded.event.matches)
        live = [match for match in matches if not match.backfill]
        silences = covering(tx, live)
        audible = heard(live, silences, tx.now)
        store.hold_silenced(tx, audible)
        rows = [verdict_row(recorded, match, "backfill") for match in matches if match.backfill and match.n]
        novelty.learn_from(tx, [m for m in matches if m.backfill and m.learn_s is not None])
        observed_at = recorded.event.observed_at
        shares = absences.watch(tx, [m for m in live if m.absent_s], observed_at=observed_at, max_groups=max_groups)
        shares += novelty.weigh_new(tx, [m for m in live if m.learn_s is not None], audible)
        timed = placing.settle(tx, [m for m in live if m.window_s or m.for_s], audible)
        shares += weigh_all(tx, timed, observed_at=observed_at, max_groups=max_groups)
        shares += [Share(m, None, 0) for m in live if _counts_each(m)]
        rows += _rehearse(tx, recorded, [share for share in shares if share.match.dry_run])
        live_shares = apart([share for share in shares if not share.match.dry_run], silences, tx.now)
        rows += carry_out(tx, recorded, live_shares, max_groups=max_groups)
        if rows:
            store.append_verdicts(tx, rows)
        if recorded.event.undecided:
            _park(tx, recorded)


def _counts_each(match: Matched) -> bool:
    """Whether a rule counts each record for what it is."""
    return not (match.window_s or match.for_s or match.absent_s) and match.learn_s is None


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
        rows.append(verdict_row(recorded, goes_as, "dry_run", late=late, would=would))
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
        "suppressed_by": None,
    }


def open_for_absence(tx: Tx, timer: Timer) -> None:
    """Open the alerts of what has become silent, when a rule's timer is due."""
    matches = absences.silent(tx, timer)
    open_without_records(tx, matches, hiding_absence(tx, matches))


def end_episodes(tx: Tx, ticket_id: int) -> None:
    """End the open alerts of a ticket that is being resolved: the next such record begins a new episode."""
    ended = store.end_of_ticket(tx, ticket_id)
    tx.emit(*(AlertEnded(alert_id=alert_id, ticket_id=ticket_id) for alert_id in ended))


def end_if_quiet(tx: Tx, timer: Timer) -> None:
    """End an episode whose rule has had nothing to say for as long as it is to last; otherwise look again then.

    A rule that counts says something while its window is full, another one with each record, and one that waits for
    nothing until there is something. By the server's clock. When it has opened and ended too often lately, it is said
    to flap, and goes on until it has been calm.
    """
    alert = store.hold(tx, int(timer.subject))
    row = None if alert is None else rule_store.get(tx, alert.rule)
    if alert is None or row is None or row.rule.quiet_s is None:
        return  # it has ended, or no longer ends by itself
    said_at = store.last_counted_at(tx, alert.id)
    if row.rule.kind in WINDOWED:
        said_at = window_store.full_at(tx, alert.rule, alert.fingerprint)
    if row.rule.kind is Kind.ABSENCE:
        said_at = absence_store.back_since(tx, alert.rule, alert.fingerprint)
        if said_at is None:
            return  # it is silent again; the next sign of life sets the timer
    flaps = alert.suppressed_by == FLAP
    due_at = (said_at or alert.opened_at) + flapping.quiet_for(row.rule.quiet_s, flapping=flaps)
    if due_at <= tx.now and not flaps and _would_flap(tx, alert):
        due_at = (said_at or alert.opened_at) + flapping.quiet_for(row.rule.quiet_s, flapping=True)
    if due_at > tx.now:
        timers.put(tx, QUIET, timer.subject, due_at=due_at, version=row.rule.version)
        return
    store.end(tx, alert.id)
    if alert.ticket_id is not None:
        tx.emit(AlertQuieted(alert.id, alert.ticket_id, quiet_s=row.rule.quiet_s))
    elif alert.suppressed_by is not None:
        tx.emit(AlertUnheard(alert.id, suppressed_by=alert.suppressed_by))


def _would_flap(tx: Tx, alert: OpenAlert) -> bool:
    """Whether ending now would be one change too many; the alert is then said to flap."""
    changes = store.changes_since(tx, [alert.fingerprint], tx.now - flapping.WITHIN).get(alert.fingerprint, 0) + 1
    if not flapping.flaps(changes):
        return False
    if alert.suppressed_by is None:
        store.suppress(tx, {alert.id: FLAP})
        tell_of_flapping(tx, {alert.id: changes})
    return True


def calm(tx: Tx, timer: Timer) -> None:
    """An alert that flaps has opened and ended no more for 30 minutes. One that ends by itself does so when it has been
    quiet for as long."""
    alert = store.hold(tx, int(timer.subject))
    row = None if alert is None else rule_store.get(tx, alert.rule)
    if alert is None or alert.suppressed_by != FLAP or (row is not None and row.rule.quiet_s is not None):
        return
    release(tx, [alert.id], reason="it has been calm for 30 minutes")


@dataclass(slots=True)
class RollUp:
    """The loop that folds verdicts into their alerts' counts, so that reading a count stays cheap."""

    database: Database

    def run(self) -> None:
        """One turn: sums are read without a lock, and written a few alerts at a time."""
        since = self.database.read(store.rolled_up_to)
        self._raise_urgency(since)
        horizon = self.database.read(lambda tx: int(tx.execute(select(self.database.horizon)).scalar_one()))
        if horizon <= since:
            return
        sums = self.database.read(lambda tx: store.waiting(tx, since=since, horizon=horizon))
        for start in range(0, len(sums), ROLL_UP_SLICE):
            part = sums[start : start + ROLL_UP_SLICE]
            self.database.write(lambda tx, part=part: store.roll_up(tx, part, horizon=horizon), actor=SYSTEM)  # type: ignore[misc]
        if sums:
            self.database.write(lambda tx: store.set_rolled_up_to(tx, horizon), actor=SYSTEM)

    def _raise_urgency(self, since: int) -> None:
        """Make alerts more urgent that have grown past what their rule says; it is told once for each priority."""

        def look(tx: ReadTx) -> list[tuple[Alert, Priority]]:
            rules = rule_store.rules_that_raise(tx, store.rules_counting_since(tx, since))
            grown = store.counted_since(tx, rules, since) if rules else []
            now = [(alert, rules[alert.rule].priority_at(alert.count)) for alert in grown]
            return [(alert, priority) for alert, priority in now if priority < alert.priority]

        for alert, priority in self.database.read(look):
            self.database.write(lambda tx, a=alert, p=priority: _make_urgent(tx, a, p), actor=SYSTEM)  # type: ignore[misc]


def _make_urgent(tx: Tx, alert: Alert, priority: Priority) -> None:
    ticket_id = store.raise_priority(tx, alert.id, priority)  # which it has by now
    if ticket_id is not None:
        tx.emit(AlertGrew(alert.id, ticket_id, count=alert.count, priority=priority.name))


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
    found = database.read(lambda tx: store.page(tx, query, after=after, limit=query.limit + 1))
    items = found[: query.limit]
    more = len(found) > query.limit
    return items, encode_cursor(_CURSOR, to_us(items[-1].opened_at), items[-1].id) if more else None
