"""A rule put to what came in, commit by commit: which alerts and tickets there would have been. Pure: values in, a
value out.

Windows are weighed by the code that weighs them live, and what flaps or storms is decided by the functions that decide
it live; alerts open, count, end and find their tickets by the same order of steps. What ends by time ends at the first
whole second at or after its time, before what came in then. What people do is not known of a rule that was not in
force: an alert that does not end by itself ends when a person really resolved the ticket of an alert with its
fingerprint, and else goes on.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from operator import attrgetter
from typing import Any, Final, assert_never

from tocsin.alerts import flapping
from tocsin.alerts.overflow import MAX_GROUPS, OVERFLOW, overflow_of, seated
from tocsin.alerts.rules import WINDOWED, Kind, Rule
from tocsin.alerts.silencing import Fate, fate_of
from tocsin.alerts.suppression import FLAP
from tocsin.kit.clock import from_us
from tocsin.proof.hushing import NOTHING, Hidings
from tocsin.proof.missing import TURN, Absences, heard_of
from tocsin.proof.newness import NewPatterns
from tocsin.proof.outcome import Episode, Face, Heard, Outcome, Tally
from tocsin.proof.ticketing import Storm, Tickets, Ways, tick, us
from tocsin.proof.weighing import Each, Weigher, Windows

_TICK: Final = 0  # before what came in at the same instant
_RESOLVED: Final = 1  # after it
_COVERS: Final = attrgetter("covers")
_HIDDEN_BY: Final = attrgetter("hidden_by")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is held at most: groups that are told apart, windows and open alerts at a time (as live), alerts and
    tickets that can be named; what is beyond that is counted all the same."""

    groups: int = 50_000
    windows: int = MAX_GROUPS
    alerts: int = MAX_GROUPS
    named: int = 20_000


DEFAULT_BOUNDS: Final = Bounds()


class Replay:
    """What goes on at one moment of the replay. Commits are given in the order of their arrival.

    Without `heeds`, what silences hide is heard all the same; the outcome says what came of it. `since`: when the
    replay begins. `resolved`: when people resolved the tickets of which fingerprints.
    """

    def __init__(
        self,
        rule: Rule,
        ways: Ways,
        zone: tzinfo,
        *,
        since: int = 0,
        resolved: Iterable[tuple[int, str]] = (),
        hidings: Hidings = NOTHING,
        heeds: bool = True,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self._rule = rule
        self._quiet_s = rule.quiet_s
        self._ways = ways
        self._zone = zone
        self._hidings = hidings
        self._heeds = heeds
        self._bounds = bounds
        self._overflow_face = Face(overflow_of(rule.name), OVERFLOW)
        self._firing: dict[str, Episode] = {}
        self._changed: dict[str, deque[int]] = {}
        self._due: list[tuple[int, int, int, int, Any]] = [
            (at, _RESOLVED, at, place, fingerprint) for place, (at, fingerprint) in enumerate(sorted(resolved))
        ]
        ends = hidings.ends() if heeds else []
        self._due += [(tick(at), _TICK, tick(at), place - len(ends), name) for place, (at, name) in enumerate(ends)]
        heapq.heapify(self._due)
        self._serial = 0
        self.outcome = Outcome()
        self._tickets = Tickets(
            ways,
            self.outcome,
            zone,
            named=self._bounds.named,
            look_again=self._look_again,
            still_fires=self._still_fires,
        )
        self._weigher: Weigher = self._weigher_of(rule, since)
        if isinstance(self._weigher, Absences):
            self._look_again(self._weigher.next_due(since), self._weigher)

    def _weigher_of(self, rule: Rule, since: int) -> Weigher:
        match rule.kind:
            case Kind.ABSENCE:
                return Absences(rule, self.outcome, since=since, most=self._bounds.windows)
            case Kind.NEW_PATTERN:
                return NewPatterns(rule, self.outcome)
            case Kind.THRESHOLD | Kind.RATIO:
                return Windows(rule, self.outcome, most=self._bounds.windows)
            case Kind.MATCH:
                return Windows(rule, self.outcome, most=self._bounds.windows) if rule.for_s else Each()
            case _:
                assert_never(rule.kind)  # one that is not replayed must not be taken for another

    def commit(self, at: int, heard: Sequence[Heard]) -> None:
        """Records that arrived at an instant, by group."""
        self._until(at, _TICK)
        seen = self._apart_from_backfill(at, sorted(heard, key=_first_id))
        if isinstance(self._weigher, Absences):
            seen = _together(seen, lambda _: None)  # whether silences cover a sign of life makes no difference
        self.outcome.matched += sum(one.n for one in seen)
        for one in self._weigher.beyond(at, seen):
            self._overflow(one)
        seen = self._apart(seen)
        told = self._weigher.weigh(at, seen, self._firing)
        if self._hidings:
            told = self._hide(at, told)
        told = self._within_bounds(told)
        opening = self._count_or_open(at, told)
        if opening:
            opening.sort(key=_first_id)
            self._tickets.give(at, [one for one in opening if one.suppressed_by in {None, FLAP}])
        if self._hidings:
            self._show(at, told)
        if self._rule.raise_at:
            self._tickets.raise_for(self._rule, [self._firing[one.face.fingerprint] for one in told])
        if isinstance(self._weigher, Absences):
            self._come_back(at, self._weigher.back(at, seen))

    def _apart_from_backfill(self, at: int, heard: Sequence[Heard]) -> list[Heard]:
        live = [one for one in heard if not one.backfill]
        if isinstance(self._weigher, NewPatterns) and len(live) < len(heard):
            self._weigher.learn_from(at, [one for one in heard if one.backfill])
        return live

    def finish(self, until: int) -> Outcome:
        """The end: what is due until then still happens."""
        self._until(until, _TICK)
        self.outcome.unfinished = self._weigher.unfinished()
        return self.outcome

    # Groups.

    def _apart(self, heard: Sequence[Heard]) -> list[Heard]:
        """Groups beyond those that are kept apart become one."""
        for one in heard:
            self._tally(one).n += one.n
        return _together(heard, _COVERS)

    def _tally(self, one: Heard) -> Tally:
        groups = self.outcome.groups
        found = groups.get(one.face.fingerprint)
        if found is None:
            if len(groups) >= self._bounds.groups:
                self._overflow(one)
            found = self._tally_of(one)
        return found

    def _tally_of(self, one: Heard) -> Tally:
        service = "" if one.face.template == OVERFLOW else one.service
        return self.outcome.groups.setdefault(one.face.fingerprint, Tally(one.face, service))

    def _overflow(self, one: Heard) -> None:
        if one.face == self._overflow_face:
            return
        self.outcome.overflowed += one.n
        one.face = self._overflow_face
        one.key = one.face.fingerprint

    def _within_bounds(self, told: list[Heard]) -> list[Heard]:
        """As live: so many alerts are open at most, and then new groups become one; windows have a bound of their
        own."""
        left = self._bounds.alerts - len(self._firing)
        if self._rule.kind in WINDOWED or len(told) <= left:
            return told
        new = [one for one in told if one.face.fingerprint not in self._firing]
        new.sort(key=lambda one: (one.first_id, one.face.fingerprint))
        rule = self._rule.name
        seats = seated(((rule, one.face.fingerprint) for one in new), {rule: left})
        for one in [one for one in new if one.face.fingerprint not in seats]:
            self._tally_of(one).n -= one.n
            self._overflow(one)
            self._tally_of(one).n += one.n
        return _together(told, _HIDDEN_BY)

    def _hide(self, at: int, told: Sequence[Heard]) -> list[Heard]:
        """Say of each what hides it; what one silence hides is one, and what is heard comes first."""
        for one in told:
            one.hidden_by = self._hidings.by(at, one.covers)
            if one.hidden_by is not None:
                self.outcome.hidden[one.hidden_by] += one.n
        if not self._heeds:
            return list(told)
        return sorted(_together(told, _HIDDEN_BY), key=lambda one: self._hidings.place(one.hidden_by))

    # Alerts.

    def _count_or_open(self, at: int, told: Sequence[Heard]) -> list[Episode]:
        """The alerts that open now; what there is beside the records they open with is counted on them."""
        openers: dict[str, Heard] = {}
        for one in told:
            first = openers.setdefault(one.face.fingerprint, one)
            if self._heeds and first.hidden_by is not None and one.hidden_by is None:
                openers[one.face.fingerprint] = one
        opened = [self._begin(at, one) for fingerprint, one in openers.items() if fingerprint not in self._firing]
        new = {id(openers[one.face.fingerprint]) for one in opened}
        for one in told:
            episode = self._firing[one.face.fingerprint]
            if one.hidden_by is not None and one.hidden_by not in episode.hid:
                episode.hid.add(one.hidden_by)
                self.outcome.hidden_alerts[one.hidden_by] += 1
            if id(one) not in new:
                _count(episode, one, at)
        return opened

    def _begin(self, at: int, one: Heard) -> Episode:
        fingerprint = one.face.fingerprint
        flaps = self._would_flap(at, fingerprint)
        overflow = self._overflow_face.fingerprint
        key = one.key if one.key in self._tickets or len(self._tickets) < self._bounds.groups else overflow
        episode = self._firing[fingerprint] = Episode(
            face=one.face,
            service=one.service,
            key=key,
            opened_at=at,
            said_at=at,
            n=one.n,
            first_id=one.first_id,
            last_id=one.last_id,
            first_at=one.first_at,
            last_at=one.last_at,
            priority=int(self._rule.priority),
            suppressed_by=(one.hidden_by if self._heeds else None) or (FLAP if flaps else None),
            covers=one.covers,
            label=one.hidden_by,
        )
        self._changes(fingerprint, at)
        self.outcome.flapping += flaps
        self.outcome.alerts += 1
        self.outcome.alert_days[from_us(at).astimezone(self._zone).date()] += 1
        self._tally_of(one).alerts += 1
        if len(self.outcome.episodes) < self._bounds.named:
            self.outcome.episodes.append(episode)
        if self._quiet_s is not None:
            self._look_again(at + self._quiet_us(flaps=flaps), episode)
        return episode

    def _show(self, at: int, told: Sequence[Heard]) -> None:
        """An alert that a silence kept without a ticket gets one when a record comes that nothing hides."""
        seen = {one.face.fingerprint for one in told if one.hidden_by is None}
        known = [self._firing[fingerprint] for fingerprint in seen]
        self._release(at, [one for one in known if one.ticket is None])

    def _release(self, at: int, alerts: Sequence[Episode]) -> None:
        """What a silence hid is heard."""
        for one in alerts:
            one.suppressed_by = None
        if alerts:
            self._tickets.give(at, sorted(alerts, key=_first_id))

    def _let_go(self, now: int, silence: str) -> None:
        """A silence is over: another one hides what it hid, or it is heard because it still fires; the rest has
        ended."""
        mine = sorted((one for one in self._firing.values() if one.suppressed_by == silence), key=_first_id)
        still: list[Episode] = []
        itself = self._quiet_s is not None
        for one in mine:
            heir = self._hidings.by(now, one.covers)
            fate = fate_of(heir=heir, ends_by_itself=itself, last_at=from_us(one.said_at), now=from_us(now))
            if fate is Fate.MOVED:
                one.suppressed_by = heir
            elif fate is Fate.RELEASED:
                still.append(one)
            else:
                self.outcome.unheard += 1
                self._end(now, one, "silence")
        self._release(now, still)

    # What is missing.

    def _look_for_missing(self, now: int, absences: Absences) -> None:
        while missing := absences.missing(now):
            told = []
            for match, covers in missing:
                one = heard_of(match, covers)
                one.hidden_by = self._hidings.by_for_absence(now, match) if self._hidings else None
                told.append(one)
            told.sort(key=_first_id)
            new = [self._begin(now, one) for one in told if one.face.fingerprint not in self._firing]
            self.outcome.hidden_alerts.update(one.label for one in new if one.label is not None)
            self._tickets.give(now, [one for one in new if one.suppressed_by in {None, FLAP}])
            if len(missing) < TURN:
                break
        self._look_again(absences.next_due(now), absences)

    def _still_fires(self, episode: Episode, since: int) -> bool:
        if isinstance(self._weigher, Absences):
            return self._weigher.is_missing(episode.face.fingerprint)
        return episode.said_at >= since

    def _come_back(self, at: int, fingerprints: Sequence[str]) -> None:
        """Alerts about what is there again end when that has lasted."""
        for episode in [self._firing[one] for one in fingerprints if one in self._firing]:
            if self._quiet_s == 0:
                self.outcome.quieted += 1
                self._end(at, episode, "quiet")
            elif self._quiet_s is not None:
                self._look_again(at + self._quiet_us(flaps=False), episode)

    # What flaps.

    def _changes(self, fingerprint: str, at: int) -> None:
        if self._quiet_s is not None or self._due:  # else nothing ever ends
            self._changed.setdefault(fingerprint, deque(maxlen=flapping.CHANGES)).append(at)

    def _would_flap(self, at: int, fingerprint: str) -> bool:
        """Whether to open or end now would be one change too many."""
        since = at - us(flapping.WITHIN)
        return flapping.flaps(1 + sum(changed >= since for changed in self._changed.get(fingerprint, ())))

    def _quiet_us(self, *, flaps: bool) -> int:
        return us(flapping.quiet_for(self._quiet_s or 0, flapping=flaps))

    # What ends by time.

    def _look_again(self, due: int, subject: Episode | Storm | Absences) -> None:
        self._serial += 1
        heapq.heappush(self._due, (tick(due), _TICK, due, self._serial, subject))

    def _until(self, at: int, kind: int) -> None:
        while self._due and self._due[0][:2] <= (at, kind):
            now, what, _, _, subject = heapq.heappop(self._due)
            if isinstance(subject, Episode):
                self._end_if_quiet(now, subject)
            elif isinstance(subject, Storm):
                self._tickets.look_at(now, subject)
            elif isinstance(subject, Absences):
                self._look_for_missing(now, subject)
            elif what == _TICK:
                self._let_go(now, subject)
            elif subject in self._firing:
                self.outcome.resolved += 1
                self._end(now, self._firing[subject], "resolved")

    def _end_if_quiet(self, now: int, episode: Episode) -> None:
        if episode.ended_at is not None:
            return
        said_at = self._weigher.said_at(episode.face.fingerprint, episode.said_at)
        if said_at is None and isinstance(self._weigher, Absences):
            return  # it is still missing; the next sign of life is waited for
        said_at = episode.opened_at if said_at is None else said_at
        flaps = episode.suppressed_by == FLAP
        due = said_at + self._quiet_us(flaps=flaps)
        if due <= now and not flaps and self._would_flap(now, episode.face.fingerprint):
            due = said_at + self._quiet_us(flaps=True)
            self.outcome.flapping += episode.suppressed_by is None
            episode.suppressed_by = episode.suppressed_by or FLAP
        if due > now:
            self._look_again(due, episode)
        else:
            self.outcome.quieted += 1
            self._end(now, episode, "quiet")

    def _end(self, now: int, episode: Episode, by: str) -> None:
        episode.ended_at, episode.ended_by = now, by
        del self._firing[episode.face.fingerprint]
        self._changes(episode.face.fingerprint, now)
        if episode.ticket is not None:
            episode.ticket.going_on.discard(episode)
            self._tickets.resolve_if_over(now, episode.ticket)
        elif isinstance(self._weigher, NewPatterns):
            self._weigher.forget(episode.face.fingerprint)


def _first_id(one: Heard | Episode) -> int:
    return one.first_id


def _count(episode: Episode, one: Heard, at: int) -> None:
    episode.n += one.n
    if one.last_id >= episode.last_id:
        episode.last_id, episode.covers = one.last_id, one.covers
    episode.first_at = min(episode.first_at, one.first_at)
    episode.last_at = max(episode.last_at, one.last_at)
    episode.said_at = at


def _together(heard: Sequence[Heard], fate: Callable[[Heard], str | None]) -> list[Heard]:
    """What has one fingerprint, and one fate, as one."""
    found: dict[tuple[str, str | None], Heard] = {}
    for one in heard:
        earlier = found.setdefault((one.face.fingerprint, fate(one)), one)
        if earlier is not one:
            _join(earlier, one)
    return list(found.values())


def _join(one: Heard, other: Heard) -> None:
    """Both as one group, by id."""
    if not one.n:
        one.first_id, one.service, one.first_at, one.last_at = (
            other.first_id, other.service, other.first_at, other.last_at,
        )  # fmt: skip
    if other.n:
        if other.last_id > one.last_id:
            one.last_id, one.covers = other.last_id, other.covers
        one.first_id = min(one.first_id, other.first_id)
        one.first_at, one.last_at = min(one.first_at, other.first_at), max(one.last_at, other.last_at)
    one.n += other.n
    one.level = max(one.level, other.level)
    covering = [*(one.covering or [None] * len(one.ids)), *(other.covering or [None] * len(other.ids))]
    ids, times, hits = [*one.ids, *other.ids], [*one.times, *other.times], [*one.hits, *other.hits]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    one.ids, one.times = [ids[n] for n in order], [times[n] for n in order]
    one.hits, one.covering = [hits[n] for n in order], [covering[n] for n in order]
