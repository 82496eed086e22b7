"""Which records of a replay open an alert or are counted on one, by the kind of their rule. Pure.

The others are pending. Windows and runs are weighed by the code that does so live, and held in the same bounds. What a
kind does is one class: a replay hands it the groups of a commit, and gets back what is told.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tocsin.alerts.rules import QUIET_WINDOWS, WINDOWED, Rule
from tocsin.alerts.windows import MILLION, Enough, Weighed, Window, go_on, weigh, width_us_of
from tocsin.proof.outcome import Face, Heard, Outcome, Unfinished


class Weigher(Protocol):
    """What a kind of rule does with the groups of a commit."""

    def beyond(self, at: int, heard: Sequence[Heard]) -> Sequence[Heard]:
        """Groups for which there is no room: they become one, before they are weighed."""
        ...

    def weigh(self, at: int, heard: Sequence[Heard], firing: Container[str]) -> list[Heard]:
        """What is told. `firing` are the fingerprints of open alerts."""
        ...

    def said_at(self, fingerprint: str, counted_at: int) -> int | None:
        """When the rule last had something to say; None: not since its alert opened. `counted_at`: when a record was
        last counted on that."""
        ...

    def unfinished(self) -> list[Unfinished]:
        """What holds something at the end, but not enough."""
        ...


class Each:
    """Every record that meets the condition is told."""

    def beyond(self, at: int, heard: Sequence[Heard]) -> Sequence[Heard]:
        return ()

    def weigh(self, at: int, heard: Sequence[Heard], firing: Container[str]) -> list[Heard]:
        return list(heard)

    def said_at(self, fingerprint: str, counted_at: int) -> int | None:
        return counted_at

    def unfinished(self) -> list[Unfinished]:
        return []


@dataclass(slots=True)
class _Held:
    """A window, when it last held enough, and when something was last added."""

    window: Window
    face: Face
    service: str
    full_at: int | None = None
    seen_at: int = 0


class Windows:
    """Rules that count within a window, or want records to go on for a while."""

    def __init__(self, rule: Rule, outcome: Outcome, *, most: int) -> None:
        window_s = (rule.window_s or 0) if rule.kind in WINDOWED else 0
        self._enough = Enough(rule.threshold or 0, rule.ratio_ppm, rule.minimum or 0) if window_s else None
        self._for_us = (rule.for_s or 0) * MILLION
        self._width_us = width_us_of(window_s) if window_s else 1
        self._idle_us = max(QUIET_WINDOWS * window_s, rule.for_s or 0, rule.quiet_s or 0) * MILLION
        self._most = most
        self._outcome = outcome
        self._held: dict[str, _Held] = {}

    def beyond(self, at: int, heard: Sequence[Heard]) -> Sequence[Heard]:
        """As live: windows that were idle are forgotten when there are too many, and then new groups become one."""
        new = [one for one in heard if one.face.fingerprint not in self._held]
        if len(self._held) + len(new) <= self._most:
            return ()
        present = {one.face.fingerprint for one in heard}
        idle = at - self._idle_us
        self._held = {f: held for f, held in self._held.items() if held.seen_at >= idle or f in present}
        return new[max(self._most - len(self._held), 0) :]

    def weigh(self, at: int, heard: Sequence[Heard], firing: Container[str]) -> list[Heard]:
        told: list[Heard] = []
        for one in heard:
            fingerprint = one.face.fingerprint
            held = self._held.get(fingerprint)
            if held is None:
                held = self._held[fingerprint] = _Held(Window(self._width_us), one.face, one.service)
            weighed = self._weighed(held.window, one, at, firing=fingerprint in firing)
            held.window, held.seen_at = weighed.window, at
            held.full_at = at if weighed.full else held.full_at
            self._outcome.pending += weighed.pending
            self._outcome.late += weighed.late_pending + weighed.late_counted
            if weighed.pending < one.n:
                whole = not weighed.pending and not any(one.covering)
                told += [one] if whole else _by_cover(one, _left(one, weighed.pending))
        return told

    def _weighed(self, window: Window, one: Heard, at: int, *, firing: bool) -> Weighed:
        if self._enough is None:
            return go_on(window, one.times, for_us=self._for_us, observed_us=at, firing=firing)
        records = zip(one.times, one.hits, strict=True)
        return weigh(window, records, self._enough, observed_us=at, firing=firing, for_us=self._for_us)

    def said_at(self, fingerprint: str, counted_at: int) -> int | None:
        """A window says something while it is full, a run with each record."""
        if self._enough is None:
            return counted_at
        held = self._held.get(fingerprint)
        return None if held is None else held.full_at

    def unfinished(self) -> list[Unfinished]:
        waiting = [held for held in self._held.values() if not held.window.fired and held.window.sum]
        waiting.sort(key=lambda held: (-held.window.sum, held.face.fingerprint))
        return [Unfinished(one.face, one.service, one.window.sum, sum(one.window.totals)) for one in waiting]


Record = tuple[int, int, str | None]  # id, time, and what covers it


def _left(one: Heard, pending: int) -> list[Record]:
    """What is left behind the first `pending` records that meet the condition."""
    covering = one.covering or [None] * len(one.ids)
    rows = zip(one.ids, one.times, covering, one.hits, strict=True)
    return [(record_id, at, by) for record_id, at, by, hit in rows if hit][pending:]


def _by_cover(one: Heard, records: Sequence[Record]) -> list[Heard]:
    """Records that share their fate."""
    parts: dict[str | None, list[Record]] = {}
    for record in records:
        parts.setdefault(record[2], []).append(record)
    return [
        replace(
            one,
            n=len(part),
            first_id=part[0][0],
            last_id=part[-1][0],
            first_at=min(at for _, at, _ in part),
            last_at=max(at for _, at, _ in part),
            covers=covers,
        )
        for covers, part in parts.items()
    ]
