"""New patterns in a replay: which records are of one that was not there before. Pure.

What is a pattern says the miner, from the forms of the replayed records alone and in the order they came in; live it
also knows what other rules have met. What people merged or split is not taken into account.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tocsin.alerts.forms import MAX_FORMS, Form, Forms, form_of
from tocsin.alerts.grouping import fingerprint_of
from tocsin.alerts.overflow import OTHER_PATTERNS
from tocsin.alerts.rules import Rule
from tocsin.alerts.windows import MILLION
from tocsin.proof.outcome import Face, Heard, Outcome, Unfinished

_BEYOND: Final = 0


@dataclass(slots=True)
class _Service:
    """What is learned of a service. `pattern_of` says by number what pattern a form has, `met` of the forms that the
    rule has met whether they opened an alert, which may be open still."""

    forms: Forms = field(default_factory=Forms)
    template_of: dict[int, str] = field(default_factory=dict)
    pattern_of: dict[int, str] = field(default_factory=dict)
    met: dict[int, bool] = field(default_factory=dict)
    since: int | None = None

    def learn(self, form: Form) -> None:
        if len(self.forms) >= MAX_FORMS or not self.forms.teaches(form):
            return
        lesson = self.forms.learn(form)
        self.template_of[lesson.number] = form.template
        self.pattern_of |= lesson.patterns

    def alike(self, number: int) -> list[int]:
        """The forms of a form's pattern, the oldest first."""
        pattern = self.pattern_of.get(number)
        return [number] if pattern is None else sorted(n for n, p in self.pattern_of.items() if p == pattern)


class NewPatterns:
    """Rules about new patterns: a record is told while the alert that its pattern has opened is there."""

    def __init__(self, rule: Rule, outcome: Outcome) -> None:
        self._rule = rule
        self._learning_us = (rule.learning_s or 0) * MILLION
        self._outcome = outcome
        self._services: dict[str, _Service] = {}
        self._settled: set[str] = set()
        self._opened: dict[
            str, tuple[str, int]
        ] = {}  # by fingerprint, the service and form that an alert was opened for

    def beyond(self, at: int, heard: Sequence[Heard]) -> Sequence[Heard]:
        return ()

    def said_at(self, fingerprint: str, counted_at: int) -> int | None:
        return counted_at

    def unfinished(self) -> list[Unfinished]:
        return []

    def learn_from(self, at: int, backfill: Sequence[Heard]) -> None:
        """Take the patterns of backfilled records for known."""
        self._learn([one for one in backfill if self._of(one).forms.number_of(_form(one)) is None])
        for one in backfill:
            number = self._number(one)
            service = self._of(one)
            service.since = at if service.since is None else service.since
            if not any(n in service.met for n in service.alike(number)):
                service.met[service.alike(number)[0]] = False

    def forget(self, fingerprint: str) -> None:
        """The alert of a pattern has ended, and nobody was told of it: the pattern is as new as before."""
        service, number = self._opened.pop(fingerprint, ("", _BEYOND))  # the overflow group is of no pattern
        if service and self._services[service].met.get(number):
            del self._services[service].met[number]

    def weigh(self, at: int, heard: Sequence[Heard], firing: Container[str]) -> list[Heard]:
        told: list[Heard] = []
        new: list[Heard] = []
        for one in heard:
            if one.face.fingerprint in self._settled:
                self._outcome.pending += one.n
            elif one.face.fingerprint in firing:
                told.append(one)
            else:
                number = self._of(one).forms.number_of(_form(one))
                known = None if number is None else self._known(one, number, firing)
                if known is None:
                    new.append(one)
                else:
                    self._say(one, told, is_told=known)
        self._learn(new)
        opening: set[str] = set()
        for one in new:
            self._say(one, told, is_told=self._is_first(at, one, firing, opening))
        return told

    def _say(self, one: Heard, told: list[Heard], *, is_told: bool) -> None:
        if is_told:
            told.append(one)
        else:
            self._outcome.pending += one.n

    def _is_first(self, at: int, one: Heard, firing: Container[str], opening: set[str]) -> bool:
        """Whether a record is told whose pattern was not known a moment ago."""
        number, service = self._number(one), self._of(one)
        oldest = service.alike(number)[0]
        face = self._face(one, oldest)
        if face.fingerprint in opening:
            _go_as(one, face)
            return True
        known = self._known(one, number, firing)
        if known is None:
            service.since = at if service.since is None else service.since
            known = at >= service.since + self._learning_us
            service.met[oldest] = known
            if known:
                self._opened[face.fingerprint] = one.service, oldest
                _go_as(one, face)
        if known:
            opening.add(face.fingerprint)
        return known

    def _known(self, one: Heard, number: int, firing: Container[str]) -> bool | None:
        """Whether records of a pattern that the rule has met are told; None when it has not."""
        service = self._of(one)
        alike = service.alike(number)
        met = [n for n in alike if n in service.met]
        if not met:
            return None
        if all(service.met[n] for n in met):
            for face in (self._face(one, n) for n in alike):
                if face.fingerprint in firing:
                    _go_as(one, face)
                    return True
            service.met |= dict.fromkeys(met, False)  # an alert that has ended is over for good
        self._settled.add(one.face.fingerprint)
        return False

    def _learn(self, heard: Iterable[Heard]) -> None:
        for one in heard:
            self._of(one).learn(_form(one))

    def _number(self, one: Heard) -> int:
        return self._of(one).forms.number_of(_form(one)) or _BEYOND

    def _of(self, one: Heard) -> _Service:
        return self._services.setdefault(one.service, _Service())

    def _face(self, one: Heard, number: int) -> Face:
        if number == _BEYOND:
            return Face(fingerprint_of(self._rule.name, one.service, OTHER_PATTERNS), OTHER_PATTERNS)
        template = self._of(one).template_of[number]
        return Face(fingerprint_of(self._rule.name, one.group[0], template), template)


def _form(one: Heard) -> Form:
    return form_of(one.group[1], one.message)


def _go_as(one: Heard, face: Face) -> None:
    """Be counted with the oldest form of the pattern."""
    if one.key == one.face.fingerprint:
        one.key = face.fingerprint
    one.face = face
