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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, Final

from tocsin.alerts import flapping
from tocsin.alerts.windows import Enough, Window, weigh
from tocsin.kit.clock import from_us
from tocsin.proof.outcome import Episode, Face, Heard, Outcome, Tally, Unfinished
from tocsin.proof.ticketing import FLAP, SECOND_US, Storm, Tickets, Ways, tick, us

OVERFLOW: Final = "(other groups)"
_TICK: Final = 0  # before what came in at the same instant
_RESOLVED: Final = 1  # after it


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a rule decides what becomes of its records. `enough`, `width_us` and `idle_s` (after which a window may
    be forgotten) are for rules that count. `overflow` is the fingerprint of groups beyond those that are kept apart."""

    quiet_s: int | None
    ways: Ways
    overflow: str
    enough: Enough | None = None
    width_us: int = 0
    idle_s: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is held at most: groups that are told apart, windows at a time (as live), alerts and tickets that can be
    named; what is beyond that is counted all the same."""

    groups: int = 50_000
    windows: int = 10_000
    named: int = 20_000


@dataclass(slots=True)
class _Held:
    """A window, when it last held enough, and when something was last added."""

    window: Window
    face: Face
    service: str
    full_at: int | None = None
    seen_at: int = 0


class Replay:
    """What goes on at one moment of the replay. Commits are given in the order of their arrival."""

    def __init__(
        self,
        terms: Terms,
        zone: tzinfo,
        *,
        resolved: Iterable[tuple[int, str]] = (),
        silenced_until: Iterable[tuple[int, str]] = (),
        bounds: Bounds | None = None,
    ) -> None:
        self._terms = terms
        self._zone = zone
        self._bounds = bounds or Bounds()
        self._windows: dict[str, _Held] = {}
        self._firing: dict[str, Episode] = {}
        self._changed: dict[str, deque[int]] = {}
        self._due: list[tuple[int, int, int, Any]] = [
            (at, _RESOLVED, place, fingerprint) for place, (at, fingerprint) in enumerate(sorted(resolved))
        ]
        self._due += [(tick(at), _TICK, -place, name) for place, (at, name) in enumerate(sorted(silenced_until), 1)]
        heapq.heapify(self._due)
        self._serial = 0
        self.outcome = Outcome()
        self._tickets = Tickets(terms.ways, self.outcome, zone, named=self._bounds.named, look_again=self._look_again)

    def commit(self, at: int, heard: Sequence[Heard]) -> None:
        """Records that arrived at an instant, by group."""
        self._until(at, _TICK)
        self.outcome.matched += sum(one.n for one in heard)
        seen = sorted(heard, key=_first_id)
        told = self._weigh(at, self._bounded(at, seen)) if self._terms.enough else self._apart(seen)
        for one in told:
            if one.hidden_by is not None:
                self.outcome.hidden[one.hidden_by] += one.n
        opening = self._count_or_open(at, told)
        if opening:
            opening.sort(key=_first_id)
            self._tickets.give(at, [one for one in opening if one.suppressed_by in {None, FLAP}])
        self._show(at, told)

    def finish(self, until: int) -> Outcome:
        """The end: what is due until then still happens."""
        self._until(until, _TICK)
        waiting = [held for held in self._windows.values() if not held.window.fired and held.window.sum]
        waiting.sort(key=lambda held: (-held.window.sum, held.face.fingerprint))
        self.outcome.unfinished = [
            Unfinished(held.face, held.service, held.window.sum, sum(held.window.totals)) for held in waiting
        ]
        return self.outcome

    # Groups and windows.

    def _apart(self, heard: Sequence[Heard]) -> list[Heard]:
        """Groups beyond those that are kept apart become one."""
        for one in heard:
            self._tally(one).n += one.n
        moved: dict[tuple[str, str | None], Heard] = {}
        for one in heard:
            earlier = moved.get((one.face.fingerprint, one.hidden_by))
            if earlier is None:
                moved[one.face.fingerprint, one.hidden_by] = one
            else:
                _join(earlier, one)
        return list(moved.values())

    def _tally(self, one: Heard) -> Tally:
        groups = self.outcome.groups
        found = groups.get(one.face.fingerprint)
        if found is None:
            if len(groups) >= self._bounds.groups:
                self._overflow(one)
                return groups.setdefault(one.face.fingerprint, Tally(one.face, ""))
            found = groups[one.face.fingerprint] = Tally(one.face, one.service)
        return found

    def _overflow(self, one: Heard) -> None:
        self.outcome.overflowed += one.n
        one.face = Face(self._terms.overflow, OVERFLOW)
        one.key = one.face.fingerprint

    def _bounded(self, at: int, heard: Sequence[Heard]) -> list[Heard]:
        """As live: windows that were idle are forgotten when there are too many, and then new groups become one."""
        new = [one for one in heard if one.face.fingerprint not in self._windows]
        if len(self._windows) + len(new) > self._bounds.windows:
            idle = at - self._terms.idle_s * SECOND_US
            present = {one.face.fingerprint for one in heard}
            self._windows = {f: w for f, w in self._windows.items() if w.seen_at >= idle or f in present}
            for one in new[max(self._bounds.windows - len(self._windows), 0) :]:
                self._overflow(one)
        return self._apart(heard)

    def _weigh(self, at: int, heard: Sequence[Heard]) -> list[Heard]:
        """What fires or is counted; the rest is pending."""
        terms, told = self._terms, list[Heard]()
        assert terms.enough is not None
        for one in heard:
            fingerprint = one.face.fingerprint
            held = self._windows.get(fingerprint)
            if held is None:
                held = self._windows[fingerprint] = _Held(Window(terms.width_us), one.face, one.service)
            weighed = weigh(
                held.window,
                zip(one.times, one.hits, strict=True),
                terms.enough,
                observed_us=at,
                firing=fingerprint in self._firing,
            )
            held.window, held.seen_at = weighed.window, at
            held.full_at = at if weighed.full else held.full_at
            self.outcome.pending += weighed.pending
            self.outcome.late += weighed.late_pending + weighed.late_counted
            if weighed.pending < one.n:
                whole = not weighed.pending and not one.hidden
                told += [one] if whole else _by_silence(one, _left(one, weighed.pending))
        return told

    # Alerts.

    def _count_or_open(self, at: int, told: Sequence[Heard]) -> list[Episode]:
        """The alerts that open now; what there is beside the records they open with is counted on them."""
        openers: dict[str, Heard] = {}
        for one in told:
            first = openers.setdefault(one.face.fingerprint, one)
            if first.hidden_by is not None and one.hidden_by is None:
                openers[one.face.fingerprint] = one
        opened = [self._begin(at, one) for fingerprint, one in openers.items() if fingerprint not in self._firing]
        new = {id(openers[one.face.fingerprint]) for one in opened}
        for one in told:
            if id(one) not in new:
                _count(self._firing[one.face.fingerprint], one, at)
        return opened

    def _begin(self, at: int, one: Heard) -> Episode:
        fingerprint = one.face.fingerprint
        flaps = self._would_flap(at, fingerprint)
        key = one.key if one.key in self._tickets or len(self._tickets) < self._bounds.groups else self._terms.overflow
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
            suppressed_by=one.hidden_by or (FLAP if flaps else None),
        )
        self._changes(fingerprint, at)
        self.outcome.flapping += flaps
        self.outcome.alerts += 1
        self.outcome.alert_days[from_us(at).astimezone(self._zone).date()] += 1
        self.outcome.groups[fingerprint].alerts += 1
        if len(self.outcome.episodes) < self._bounds.named:
            self.outcome.episodes.append(episode)
        if self._terms.quiet_s is not None:
            self._look_again(at + self._quiet_us(flaps=flaps), episode)
        return episode

    def _show(self, at: int, told: Sequence[Heard]) -> None:
        """An alert that a silence kept without a ticket gets one when a record comes that nothing hides."""
        seen = {one.face.fingerprint for one in told if one.hidden_by is None}
        known = [self._firing[fingerprint] for fingerprint in seen]
        released = sorted((one for one in known if one.ticket is None), key=_first_id)
        for one in released:
            one.suppressed_by = None
        if released:
            self._tickets.give(at, released, released=True)

    def _let_go(self, now: int, silence: str) -> None:
        """A silence is over: what still fires is heard, the rest has ended."""
        mine = sorted((one for one in self._firing.values() if one.suppressed_by == silence), key=_first_id)
        since = now - self._terms.ways.still_fires_s * SECOND_US
        still = [one for one in mine if self._terms.quiet_s is not None or one.said_at >= since]
        for one in mine:
            if one not in still:
                self.outcome.unheard += 1
                self._end(now, one, "silence")
        for one in still:
            one.suppressed_by = None
        if still:
            self._tickets.give(now, still, released=True)

    # What flaps.

    def _changes(self, fingerprint: str, at: int) -> None:
        if self._terms.quiet_s is not None or self._due:  # else nothing ever ends
            self._changed.setdefault(fingerprint, deque(maxlen=flapping.CHANGES)).append(at)

    def _would_flap(self, at: int, fingerprint: str) -> bool:
        """Whether to open or end now would be one change too many."""
        since = at - us(flapping.WITHIN)
        return flapping.flaps(1 + sum(changed >= since for changed in self._changed.get(fingerprint, ())))

    def _quiet_us(self, *, flaps: bool) -> int:
        return us(flapping.quiet_for(self._terms.quiet_s or 0, flapping=flaps))

    # What ends by time.

    def _look_again(self, due: int, subject: Episode | Storm) -> None:
        self._serial += 1
        heapq.heappush(self._due, (tick(due), _TICK, self._serial, subject))

    def _until(self, at: int, kind: int) -> None:
        while self._due and self._due[0][:2] <= (at, kind):
            now, what, _, subject = heapq.heappop(self._due)
            if isinstance(subject, Episode):
                self._end_if_quiet(now, subject)
            elif isinstance(subject, Storm):
                self._tickets.look_at(now, subject)
            elif what == _TICK:
                self._let_go(now, subject)
            elif subject in self._firing:
                self.outcome.resolved += 1
                self._end(now, self._firing[subject], "resolved")

    def _end_if_quiet(self, now: int, episode: Episode) -> None:
        if episode.ended_at is not None:
            return
        said_at: int | None = episode.said_at
        if self._terms.enough is not None:
            held = self._windows.get(episode.face.fingerprint)
            said_at = None if held is None else held.full_at
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


def _first_id(one: Heard | Episode) -> int:
    return one.first_id


def _count(episode: Episode, one: Heard, at: int) -> None:
    episode.n += one.n
    episode.last_id = max(episode.last_id, one.last_id)
    episode.first_at = min(episode.first_at, one.first_at)
    episode.last_at = max(episode.last_at, one.last_at)
    episode.said_at = at


Record = tuple[int, int, str | None]  # id, time, and what hides it


def _left(one: Heard, pending: int) -> list[Record]:
    """What is left behind the first `pending` records that meet the condition."""
    hidden = one.hidden or [None] * len(one.ids)
    rows = zip(one.ids, one.times, hidden, one.hits, strict=True)
    return [(record_id, at, by) for record_id, at, by, hit in rows if hit][pending:]


def _by_silence(one: Heard, records: Sequence[Record]) -> list[Heard]:
    """Records that share their fate: those that nothing hides, and those that each silence does."""
    parts: dict[str, list[Record]] = {}
    for record in records:
        parts.setdefault(record[2] or "", []).append(record)
    return [
        replace(
            one,
            n=len(part),
            first_id=part[0][0],
            last_id=part[-1][0],
            first_at=min(at for _, at, _ in part),
            last_at=max(at for _, at, _ in part),
            hidden_by=by or None,
        )
        for by, part in sorted(parts.items())
    ]


def _join(one: Heard, other: Heard) -> None:
    """Both as one group, by id."""
    if not one.n:
        one.first_id, one.service, one.first_at, one.last_at = (
            other.first_id, other.service, other.first_at, other.last_at,
        )  # fmt: skip
    if other.n:
        one.first_id, one.last_id = min(one.first_id, other.first_id), max(one.last_id, other.last_id)
        one.first_at, one.last_at = min(one.first_at, other.first_at), max(one.last_at, other.last_at)
    one.n += other.n
    hidden = [*(one.hidden or [None] * len(one.ids)), *(other.hidden or [None] * len(other.ids))]
    ids, times, hits = [*one.ids, *other.ids], [*one.times, *other.times], [*one.hits, *other.hits]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    one.ids, one.times = [ids[n] for n in order], [times[n] for n in order]
    one.hits, one.hidden = [hits[n] for n in order], [hidden[n] for n in order]
