"""Back-test: what a rule would have led to, had it been in force over the records that are stored.

The records are found as a search finds them: the condition decides within Polars, over the segments it can't rule out,
and only what matches is looked at more closely. They are replayed in the order of their arrival.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Final

import polars as pl

from tocsin.alerts.rules import TEMPLATE, Kind, Rule
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.errors import NotFound, Unreadable
from tocsin.logs.budget import Budget
from tocsin.logs.catalogue import Segment
from tocsin.logs.parts import Part, Parts, Scanned, Sought, collected, collected_all
from tocsin.logs.record import Record
from tocsin.logs.search import again_if_vanished
from tocsin.logs.service import LogReader
from tocsin.proof import outcome_store
from tocsin.proof.comparing import Difference, Real, compare
from tocsin.proof.gathering import COVERS, Gatherer, wanted
from tocsin.proof.hushing import SEPARATOR, Hiding, Hidings
from tocsin.proof.outcome import Episode, Outcome, Tally, Unfinished
from tocsin.proof.replay import DEFAULT_BOUNDS, Bounds, Replay
from tocsin.proof.ticketing import Ways
from tocsin.query.tree import And, Between, Named, Node, Not
from tocsin.storage.database import Database
from tocsin.tickets.service import AUTO_CLOSE_AFTER
from tocsin.tickets.storming import DEFAULT_LIMITS, StormLimits

MAX_REAL: Final = 10_000
MAX_WAITING: Final = 4_000_000  # rows that are kept because others may have come in at the same time
MAX_LISTED: Final = 100
AHEAD: Final = timedelta(minutes=5)  # a record's own time is at most so much later than its arrival
_PARTS: Final = 16
_MANY_ROWS: Final = 100_000
_RANGES_AT_ONCE: Final = 32
_PLACE: Final = "place"


@dataclass(frozen=True, slots=True)
class Wish:
    """The rule to be tried, on records that arrived in [since, until); hours and days are those of `zone`.

    `examples`: how many alerts and groups are shown. `changed` names the fields that a saved rule has otherwise.
    `limits` are those of storms. Of several `silences` the first that is active hides a record; None: there shall be
    none. `left_out` is how many more there were. `bounds`: how much is told apart.
    """

    rule: Rule
    since: datetime
    until: datetime
    zone: tzinfo
    examples: int = 5
    changed: Sequence[str] = ()
    limits: StormLimits = DEFAULT_LIMITS
    silences: Sequence[Hiding] | None = ()
    left_out: int = 0
    bounds: Bounds = DEFAULT_BOUNDS


@dataclass(slots=True)
class Found:
    """What a back-test found. All up to `reached` was replayed; when that is not all, `partial` says why. `unsilenced`
    is what there would have been without silences; None when there was none."""

    wish: Wish
    outcome: Outcome
    unsilenced: Outcome | None
    reached: datetime
    partial: str | None
    backfilled: int
    scanned: Scanned
    real: Real
    difference: Difference
    examples: list[tuple[Episode, Record | None]] = field(default_factory=list)
    new: list[tuple[Episode, Record | None]] = field(default_factory=list)

    @property
    def noisiest(self) -> list[Tally]:
        return self.outcome.noisiest(max(self.wish.examples, 1))

    @property
    def notes(self) -> list[str]:
        """What whoever reads this should know of how it was found."""
        return notes_on(self.wish)

    @property
    def unfinished(self) -> Sequence[Unfinished]:
        return self.outcome.unfinished[: max(self.wish.examples, 1)]

    @property
    def pending_groups(self) -> int:
        return len(self.outcome.unfinished)


def run(database: Database, logs: LogReader, wish: Wish, budget: Budget) -> Found:
    """Replay a rule. Raises Unavailable when too many search already, or compaction is faster than the replay."""
    real = database.read(lambda tx: outcome_store.really(tx, wish.rule.name, wish.since, wish.until, most=MAX_REAL))
    with logs.replaying(budget) as parts:
        reading = again_if_vanished(lambda: _Reading(parts, wish, real, budget).run())
    reached = from_us(reading.reached)
    alerts = [alert for alert in real.alerts if alert.opened_at < reached]
    difference = compare(alerts, reading.outcome.episodes, reading.gatherer.fingerprints)
    ids = {alert.id for alert in alerts}
    real = replace(
        real,
        alerts=alerts,
        opened=[pair for pair in real.opened if pair[1] in ids],
        reopened=[pair for pair in real.reopened if pair[1] in ids],
    )
    found = Found(
        wish,
        reading.outcome,
        reading.unsilenced,
        reached,
        reading.partial,
        reading.gatherer.backfilled,
        reading.scanned,
        real,
        difference,
    )
    found.examples = [(one, _record(logs, one)) for one in _shown(reading.outcome, wish.examples)]
    found.new = [(one, _record(logs, one)) for one in difference.new[: wish.examples]]
    return found


def ways_of(rule: Rule, limits: StormLimits) -> Ways:
    """What decides how alerts find their tickets."""
    return Ways(
        reopen_window_s=rule.reopen_window_s,
        auto_close_s=int(AUTO_CLOSE_AFTER.total_seconds()),
        limits=limits,
    )


def notes_on(wish: Wish) -> list[str]:
    """What a replay takes for granted."""
    rule, found = wish.rule, list[str]()
    if rule.kind is Kind.NEW_PATTERN:
        found.append(
            "Patterns are learned from this rule's records alone, from the first one in the span on; patterns merged or"
            " split by people, and what other rules have met, are not taken into account."
        )
    elif TEMPLATE in rule.group_by:
        found.append(
            "Records are grouped by their masked messages; patterns merged by people or learned are not taken into"
            " account."
        )
    if rule.kind is Kind.ABSENCE:
        found.append(
            "Intake is taken to have been up all the time, and a group is known from its first record in the span on."
        )
    if wish.silences is None:
        found.append("Silences are left out: what they hid is heard.")
    elif wish.left_out:
        found.append(f"The oldest {wish.left_out} silences of that time are left out: there were too many.")
    return found


def _shown(outcome: Outcome, limit: int) -> list[Episode]:
    """The first alert of each of the noisiest groups."""
    first: dict[str, Episode] = {}
    for episode in outcome.episodes:
        first.setdefault(episode.face.fingerprint, episode)
    groups = outcome.noisiest(limit)
    return [first[group.face.fingerprint] for group in groups if group.face.fingerprint in first]


def _record(logs: LogReader, episode: Episode) -> Record | None:
    try:
        return logs.get(episode.first_id)
    except (NotFound, Unreadable):
        return None  # retention, or damage, was faster


@dataclass(frozen=True, slots=True)
class _Ranged:
    """A part, and when the first and the last of its records arrived."""

    part: Part
    first: int
    last: int


class _Reading:
    """One pass over the stock, by arrival."""

    def __init__(self, parts: Parts, wish: Wish, real: Real, budget: Budget) -> None:
        self._parts = parts
        self._wish = wish
        self._budget = budget
        self._wanted = partial(wanted, wish.rule)
        self._silences = wish.silences or ()
        self._replay = self._new_replay(real, heeds=True)
        self._unsilenced = self._new_replay(real, heeds=False) if self._silences else None
        watched = {alert.first_record_id for alert in real.alerts}
        self.gatherer = Gatherer(wish.rule, watched, covered=bool(self._silences))
        self.scanned = Scanned()
        self.partial: str | None = None
        self.reached = to_us(wish.until)
        self.outcome = self._replay.outcome
        self.unsilenced: Outcome | None = None

    def _new_replay(self, real: Real, *, heeds: bool) -> Replay:
        wish = self._wish
        return Replay(
            wish.rule,
            ways_of(wish.rule, wish.limits),
            wish.zone,
            since=to_us(wish.since),
            resolved=real.resolved,
            hidings=Hidings(self._silences),
            heeds=heeds,
            bounds=wish.bounds,
        )

    def run(self) -> "_Reading":
        looks = self._looks()
        waiting = self._by_arrival(replace(looks[0][0], node=self._arrived(self._wish.rule.node())))
        size = 4
        while waiting:
            batch, waiting = waiting[:size], waiting[size:]
            if not self._read([one.part for one in batch], looks):
                self._stop(batch[0].first, "time")
                break
            self._hand_on(waiting[0].first if waiting else None)
            rows = self.gatherer.waiting
            if rows > MAX_WAITING:
                self._stop(waiting[0].first, "memory")
                break
            size = min(size * 2, _PARTS) if rows < _MANY_ROWS else 4
        self.outcome = self._replay.finish(self.reached)
        if self._unsilenced is not None:
            self.unsilenced = self._unsilenced.finish(self.reached)
        return self

    def _stop(self, at: int, why: str) -> None:
        """All that arrived before that is known, and nothing is told of what came after."""
        self.partial = why
        self.reached = max(at, to_us(self._wish.since))
        self._hand_on(self.reached)

    def _looks(self) -> list[tuple[Sought, bool]]:
        """What to look for: what meets the condition, and for a ratio apart from it the others."""
        rule = self._wish.rule
        if rule.kind is not Kind.RATIO:
            return [(Sought(self._arrived(rule.node())), True)]
        hits, others = And((rule.node(), rule.hit())), And((rule.node(), Not(rule.hit())))
        return [(Sought(self._arrived(hits)), True), (Sought(self._arrived(others)), False)]

    def _arrived(self, node: Node) -> Node:
        span = Between(Named("observed_at"), to_us(self._wish.since), to_us(self._wish.until), high_open=True)
        return And((node, span))

    def _by_arrival(self, sought: Sought) -> list[_Ranged]:
        """The parts that may hold what is sought, by when their first record arrived."""
        since, until = to_us(self._wish.since), to_us(self._wish.until)
        within = replace(sought, until=self._wish.until + AHEAD)
        parts = [part for part in self._parts.for_(within, self.scanned) if self._may_be_new(part)]
        ranged = [one for one in self._ranges(parts) if one.first < until and one.last >= since]
        return sorted(ranged, key=lambda one: one.first)

    def _may_be_new(self, part: Part) -> bool:
        """A segment holds nothing that came in after it was made."""
        return not isinstance(part.of, Segment) or part.of.created_at >= self._wish.since

    def _ranges(self, parts: Sequence[Part]) -> Iterator[_Ranged]:
        seen = pl.col("observed_at").cast(pl.Int64)
        for start in range(0, len(parts), _RANGES_AT_ONCE):
            some = [(part, self._parts.whole(part)) for part in parts[start : start + _RANGES_AT_ONCE]]
            sound = [(part, lazy) for part, lazy in some if lazy is not None]
            self.scanned.damaged += len(some) - len(sound)
            ends = collected_all([lazy.select(first=seen.min(), last=seen.max()) for _, lazy in sound])
            for (part, _), frame in zip(sound, ends, strict=True):
                if frame.item(0, "first") is not None:
                    yield _Ranged(part, *frame.row(0))

    def _read(self, parts: Sequence[Part], looks: Sequence[tuple[Sought, bool]]) -> bool:
        """Take in the rows of some parts, or none of them: False when the time is over."""
        found: list[tuple[pl.DataFrame, bool]] = []
        scanned = self.scanned
        for sought, hit in looks:
            if self._budget.over:
                return False
            for lazy in self._parts.scan(parts, sought, self._wanted, scanned, self._budget):
                found.append((collected(lazy), hit))
                if self._budget.cut:
                    return False
            scanned = Scanned()  # the same parts again
        covers = self._covers(parts)
        if self._budget.cut:
            return False
        for rows, hit in found:
            marked = rows.join(covers, on="id", how="left") if self._silences else rows
            self.gatherer.add(marked, hit=hit)
        return True

    def _covers(self, parts: Sequence[Part]) -> pl.DataFrame:
        """The records of some parts that silences' matchers are true of, with the places of those."""
        found = [pl.DataFrame(schema={"id": pl.Int64, _PLACE: pl.Int64})]
        for place, one in enumerate(self._silences):
            if self._budget.over:
                self._budget.cut = True
                break
            sought = Sought(And((self._arrived(self._wish.rule.hit()), one.node)))
            lazies = self._parts.scan(parts, sought, lambda _: ["id"], Scanned(), self._budget)
            found += [collected(lazy).with_columns(pl.lit(place, pl.Int64).alias(_PLACE)) for lazy in lazies]
        places = pl.col(_PLACE).sort().cast(pl.String).str.join(SEPARATOR)
        return pl.concat(found).group_by("id").agg(places.alias(COVERS))

    def _hand_on(self, before: int | None) -> None:
        for at, heard in self.gatherer.commits(before):
            if self._unsilenced is not None:
                self._unsilenced.commit(at, [replace(one) for one in heard])
            self._replay.commit(at, heard)
