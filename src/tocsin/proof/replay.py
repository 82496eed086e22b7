"""A rule put to what came in, commit by commit: which alerts and tickets there would have been. Pure: values in, a
value out.

Windows are weighed by the code that weighs them live; alerts open, count, end and find their tickets by the same order
of steps. What ends by time ends at the first whole second at or after its time, before what came in then. What people
do is not known of a rule that was not in force: an episode that does not end by itself ends when a person really
resolved the ticket of an alert with its fingerprint, and else goes on.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Any, Final

from tocsin.alerts.windows import Enough, Window, weigh
from tocsin.kit.clock import from_us

SECOND_US: Final = 1_000_000
OVERFLOW: Final = "(other groups)"
_TICK: Final = 0  # before what came in at the same instant
_RESOLVED: Final = 1  # after it


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a rule decides what becomes of its records. `enough`, `width_us` and `idle_s` (after which a window may
    be forgotten) are for rules that count. `overflow` is the fingerprint of groups beyond those that are kept apart."""

    quiet_s: int | None
    reopen_window_s: int
    auto_close_s: int
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


@dataclass(frozen=True, slots=True)
class Face:
    """A group: its fingerprint, and what its records have in common, for people."""

    fingerprint: str
    template: str


@dataclass(slots=True)
class Heard:
    """The records of one commit in one group: `n` of them meet the condition. Instants are microseconds since 1970.

    For a rule that counts, `ids`, `times` and `hits` list all that it looks at, by id. `key` and `service` are those of
    the first that meets the condition. `hidden_by` names what silences them.
    """

    face: Face
    service: str
    key: str
    n: int
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    ids: Sequence[int] = ()
    times: Sequence[int] = ()
    hits: Sequence[bool] = ()
    hidden_by: str | None = None


@dataclass(slots=True, eq=False)
class Ticket:
    """A ticket there would have been; `pages` are when it opened and reopened."""

    number: int
    key: str
    service: str
    first_id: int
    recurrence_of: int | None
    pages: list[int]
    alerts: int = 0
    going_on: int = 0
    resolved_at: int | None = None


@dataclass(slots=True, eq=False)
class Episode:
    """An alert there would have been. `how`: it opened its ticket, joined or reopened it. `ended_by`: `quiet`, or
    `resolved` as its like really was."""

    face: Face
    service: str
    ticket: Ticket
    how: str
    opened_at: int
    said_at: int
    n: int
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    ended_at: int | None = None
    ended_by: str | None = None


@dataclass(slots=True)
class Tally:
    """What became of a group."""

    face: Face
    service: str
    n: int = 0
    alerts: int = 0
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A window that holds something at the end, but not enough."""

    face: Face
    service: str
    hits: int
    total: int


@dataclass(slots=True)
class Outcome:
    """What there would have been. `episodes` and `tickets` are the first of them, as many as are named; the counts are
    of all. `pages` counts by hour of the day and by day. `hidden` counts records by what silences them."""

    matched: int = 0
    pending: int = 0
    late: int = 0
    alerts: int = 0
    opened: int = 0
    joined: int = 0
    reopened: int = 0
    recurrences: int = 0
    quieted: int = 0
    resolved: int = 0
    overflowed: int = 0
    episodes: list[Episode] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    days: Counter[date] = field(default_factory=Counter)
    alert_days: Counter[date] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    groups: dict[str, Tally] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)

    @property
    def pages(self) -> int:
        """Times that somebody would have been called."""
        return self.opened + self.reopened

    def noisiest(self, limit: int) -> list[Tally]:
        """The groups with the most alerts, and of those with the most records."""
        order = sorted(self.groups.values(), key=lambda t: (-t.alerts, -t.n, t.face.fingerprint))
        return order[:limit]


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
        bounds: Bounds | None = None,
    ) -> None:
        self._terms = terms
        self._zone = zone
        self._bounds = bounds or Bounds()
        self._windows: dict[str, _Held] = {}
        self._firing: dict[str, Episode] = {}
        self._ticket_of_key: dict[str, Ticket] = {}
        self._due: list[tuple[int, int, int, Any]] = [
            (at, _RESOLVED, place, fingerprint) for place, (at, fingerprint) in enumerate(sorted(resolved))
        ]
        self._serial = 0
        self.outcome = Outcome()

    def commit(self, at: int, heard: Sequence[Heard]) -> None:
        """Records that arrived at an instant, by group."""
        self._until(at, _TICK)
        seen = [one for one in sorted(heard, key=lambda h: h.first_id) if not self._hide(one)]
        told = self._weigh(at, self._bounded(at, seen)) if self._terms.enough else self._apart(seen)
        opening: list[Heard] = []
        for one in told:
            episode = self._firing.get(one.face.fingerprint)
            if episode is None:
                opening.append(one)
            else:
                self._count(episode, one, at)
        if opening:
            self._open(at, opening)

    def finish(self, until: int) -> Outcome:
        """The end: what is due until then still happens."""
        self._until(until, _TICK)
        waiting = [held for held in self._windows.values() if not held.window.fired and held.window.sum]
        waiting.sort(key=lambda held: (-held.window.sum, held.face.fingerprint))
        self.outcome.unfinished = [
            Unfinished(held.face, held.service, held.window.sum, sum(held.window.totals)) for held in waiting
        ]
        return self.outcome

    def _hide(self, one: Heard) -> bool:
        self.outcome.matched += one.n
        if one.hidden_by is None:
            return False
        self.outcome.hidden[one.hidden_by] += one.n
        return True

    # Windows.

    def _apart(self, heard: Sequence[Heard]) -> list[Heard]:
        """Groups beyond those that are kept apart become one."""
        for one in heard:
            self._tally(one).n += one.n
        moved: dict[str, Heard] = {}
        for one in heard:
            earlier = moved.get(one.face.fingerprint)
            if earlier is None:
                moved[one.face.fingerprint] = one
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
                told.append(_without(one, weighed.pending))
        return told

    # Alerts.

    def _count(self, episode: Episode, one: Heard, at: int) -> None:
        episode.n += one.n
        episode.last_id = max(episode.last_id, one.last_id)
        episode.first_at = min(episode.first_at, one.first_at)
        episode.last_at = max(episode.last_at, one.last_at)
        episode.said_at = at

    def _open(self, at: int, opening: list[Heard]) -> None:
        """New alerts find their tickets: the open one of their key, a fresh one again, or a new one."""
        by_key: dict[str, list[Heard]] = {}
        for one in sorted(opening, key=lambda h: h.first_id):
            by_key.setdefault(self._key(one), []).append(one)
        for key, group in sorted(by_key.items(), key=lambda pair: pair[1][0].face.fingerprint):
            ticket, how = self._ticket(at, key, group[0])
            for place, one in enumerate(group):
                self._begin(at, one, ticket, "joined" if place else how)

    def _key(self, one: Heard) -> str:
        known = one.key in self._ticket_of_key or len(self._ticket_of_key) < self._bounds.groups
        return one.key if known else self._terms.overflow

    def _ticket(self, at: int, key: str, first: Heard) -> tuple[Ticket, str]:
        last = self._ticket_of_key.get(key)
        if last is not None and last.resolved_at is None:
            return last, "joined"
        if last is not None and self._reopenable(at, last):
            last.resolved_at = None
            last.pages.append(at)
            self.outcome.reopened += 1
            self._page(at, first)
            return last, "reopened"
        self.outcome.opened += 1
        self.outcome.recurrences += last is not None
        ticket = Ticket(
            number=self.outcome.opened,
            key=key,
            service=first.service,
            first_id=first.first_id,
            recurrence_of=None if last is None else last.number,
            pages=[at],
        )
        self._ticket_of_key[key] = ticket
        if len(self.outcome.tickets) < self._bounds.named:
            self.outcome.tickets.append(ticket)
        self._page(at, first)
        return ticket, "opened"

    def _reopenable(self, at: int, ticket: Ticket) -> bool:
        resolved_at = ticket.resolved_at or 0
        closed = _tick(resolved_at + self._terms.auto_close_s * SECOND_US) <= at
        return not closed and resolved_at >= at - self._terms.reopen_window_s * SECOND_US

    def _page(self, at: int, first: Heard) -> None:
        local = from_us(at).astimezone(self._zone)
        self.outcome.hours[local.hour] += 1
        self.outcome.days[local.date()] += 1
        self.outcome.groups[first.face.fingerprint].pages += 1

    def _begin(self, at: int, one: Heard, ticket: Ticket, how: str) -> None:
        episode = Episode(
            one.face, one.service, ticket, how, at, at, one.n, one.first_id, one.last_id, one.first_at, one.last_at
        )
        self._firing[one.face.fingerprint] = episode
        ticket.alerts += 1
        ticket.going_on += 1
        self.outcome.alerts += 1
        self.outcome.joined += how == "joined"
        self.outcome.alert_days[from_us(at).astimezone(self._zone).date()] += 1
        self.outcome.groups[one.face.fingerprint].alerts += 1
        if len(self.outcome.episodes) < self._bounds.named:
            self.outcome.episodes.append(episode)
        if self._terms.quiet_s is not None:
            self._look_again(episode, at + self._terms.quiet_s * SECOND_US)

    # What ends by time.

    def _look_again(self, episode: Episode, due: int) -> None:
        self._serial += 1
        heapq.heappush(self._due, (_tick(due), _TICK, self._serial, episode))

    def _until(self, at: int, kind: int) -> None:
        while self._due and self._due[0][:2] <= (at, kind):
            now, what, _, subject = heapq.heappop(self._due)
            if what == _TICK:
                self._end_if_quiet(now, subject)
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
        due = (episode.opened_at if said_at is None else said_at) + (self._terms.quiet_s or 0) * SECOND_US
        if due > now:
            self._look_again(episode, due)
        else:
            self.outcome.quieted += 1
            self._end(now, episode, "quiet")

    def _end(self, now: int, episode: Episode, by: str) -> None:
        """A ticket is resolved when none of its episodes goes on."""
        episode.ended_at, episode.ended_by = now, by
        del self._firing[episode.face.fingerprint]
        episode.ticket.going_on -= 1
        if not episode.ticket.going_on:
            episode.ticket.resolved_at = now


def _tick(at: int) -> int:
    """The first whole second at or after an instant."""
    return -(-at // SECOND_US) * SECOND_US


def _without(one: Heard, pending: int) -> Heard:
    """What is left behind the first `pending` records that meet the condition."""
    if not pending:
        return one
    left = [(i, at) for i, at, hit in zip(one.ids, one.times, one.hits, strict=True) if hit][pending:]
    one.n, one.first_id, one.last_id = len(left), left[0][0], left[-1][0]
    one.first_at, one.last_at = min(at for _, at in left), max(at for _, at in left)
    return one


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
    rows = sorted(
        [*zip(one.ids, one.times, one.hits, strict=True), *zip(other.ids, other.times, other.hits, strict=True)]
    )
    one.ids, one.times, one.hits = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
