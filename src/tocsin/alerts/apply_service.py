"""Use cases of files with rules, silences and services: apply one in a transaction, try that, say what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.alerts import (
    apply_store,
    declaration_service,
    declaration_store,
    rule_service,
    rule_store,
    silence_service,
    silence_store,
)
from tocsin.alerts.applying import (
    RULES,
    SERVICES,
    SILENCES,
    Action,
    Asked,
    SilenceStep,
    Step,
    Wanted,
    Way,
    id_of_name,
    in_order,
    left_over,
    left_over_silence,
    meant_by,
    placed,
    silence_step,
    step_of,
)
from tocsin.alerts.declarations import Declaration, tidied
from tocsin.alerts.rules import Rule
from tocsin.alerts.silencing import Silence, State
from tocsin.kit.errors import Conflict, FieldError, Invalid
from tocsin.storage.tx import ReadTx, Tx

_MAKES: Final = frozenset({Way.MAKE, Way.REPLACE})


@dataclass(frozen=True, slots=True)
class Present:
    """What a file could hold: everything but silences that are over."""

    rules: Sequence[Rule]
    silences: Sequence[Silence]
    services: Sequence[Declaration]


class _OnlyTried(Exception):
    """Ends an attempt that went well and must leave nothing."""


def present(tx: ReadTx, sections: Sequence[str]) -> Present:
    """What there is in these sections."""
    return Present(
        [row.rule for row in rule_store.every(tx)] if RULES in sections else (),
        _not_over(tx) if SILENCES in sections else (),
        [row.declaration for row in declaration_store.every(tx)] if SERVICES in sections else (),
    )


def breaking(tx: ReadTx, asked: Asked, *, actor: str) -> list[tuple[int, Wanted]]:
    """The silences that would be made and can break: what is usual for them must be known before. Raises Invalid."""
    entries = [(place, one) for place, one in asked.silences or () if one.draft.break_factor is not None]
    about = _silences_meant(tx, entries)
    return [
        (place, one) for place, one in entries if silence_step(one, about[place], actor=actor, now=tx.now).way in _MAKES
    ]


def apply(tx: Tx, asked: Asked, *, usual: Mapping[str, int]) -> list[Step]:
    """Bring about what a file says, and tell what that was; `applying.faults_of` has found nothing wrong with it.

    `usual`: by silence that may break, how many records it would have hidden in the hour before. Raises Invalid, with
    all that does not go together with what is there; Conflict.
    """
    return _apply(tx, asked, usual)


def rehearse(tx: Tx, asked: Asked) -> list[Step]:
    """What `apply` would do: it is done and taken back. Raises as it does."""
    found: list[Step] = []
    try:
        with tx.attempt():
            found = _apply(tx, asked, None)
            tx.settle()
            raise _OnlyTried
    except _OnlyTried:
        return found


def _apply(tx: Tx, asked: Asked, usual: Mapping[str, int] | None) -> list[Step]:
    apply_store.take_turn(tx)
    # Silences before rules, as whoever changes one takes them; rules before services, which nobody else holds together.
    about = _silences_held(tx, asked)
    if asked.rules is not None or asked.silences is not None:
        rule_store.hold_ruleset(tx)
    if asked.services is not None:
        declaration_store.hold_declarations(tx)
    found: list[FieldError] = []
    steps = [
        *_apply_rules(tx, asked),
        *_apply_silences(tx, asked, about, usual, found),
        *_apply_services(tx, asked, found),
    ]
    if found:
        raise Invalid("; ".join(f"{one.pointer[1:]}: {one.detail}" for one in found), errors=tuple(found))
    return in_order(steps)


def _apply_rules(tx: Tx, asked: Asked) -> list[Step]:
    if asked.rules is None:
        return []
    before = {row.rule.name: row.rule.definition() for row in rule_store.every(tx)}
    names = {rule.name for _, rule in asked.rules}
    steps = [left_over(RULES, name, prune=asked.prune) for name in before if name not in names]
    for step in steps:
        if step.action is Action.DELETE:
            rule_service.remove(tx, step.name)
    for _, rule in asked.rules:
        step = step_of(RULES, rule.name, before.get(rule.name), rule.definition())
        if step.action is not Action.UNCHANGED:
            rule_service.save(tx, rule)
        steps.append(step)
    return steps


def _apply_services(tx: Tx, asked: Asked, found: list[FieldError]) -> list[Step]:
    if asked.services is None:
        return []
    before = {row.declaration.key: row.declaration for row in declaration_store.every(tx)}
    wanted = [(place, tidied(one)) for place, one in asked.services]
    gone = before.keys() - {one.key for _, one in wanted}
    steps = [left_over(SERVICES, before[key].name, prune=asked.prune) for key in gone]
    for step in steps:
        if step.action is Action.DELETE:
            declaration_service.remove(tx, step.name)
    changing = [(place, one) for place, one in wanted if before.get(one.key) != one]
    try:
        declaration_service.save_together(tx, [one for _, one in changing])
    except Invalid as error:
        found += _at_their_places(error, [place for place, _ in changing])
    for _, one in wanted:
        known = before.get(one.key)
        steps.append(step_of(SERVICES, one.name, None if known is None else known.facts(), one.facts()))
    return steps


def _at_their_places(error: Invalid, places: Sequence[int]) -> list[FieldError]:
    """Errors that count the services that were saved, as those of the file."""
    parts = [(one.pointer.split("/", 2), one.detail) for one in error.errors]
    return [FieldError(f"/{SERVICES}/{places[int(number)]}/{field}", detail) for (_, number, field), detail in parts]


def _not_over(tx: ReadTx) -> list[Silence]:
    return [one for one in silence_store.unexpired(tx) if one.state_at(tx.now) is not State.EXPIRED]


def _silences_meant(tx: ReadTx, entries: Sequence[tuple[int, Wanted]]) -> dict[int, Silence | None]:
    """By the place of an entry, the silence that it is about."""
    named = silence_store.newest_applied_as(tx, [one.name for _, one in entries])
    numbers = [number for _, one in entries if (number := id_of_name(one.name)) is not None]
    by_id = silence_store.by_ids(tx, numbers)
    return {place: meant_by(one, named, by_id) for place, one in entries}


def _silences_held(tx: Tx, asked: Asked) -> dict[int, Silence | None]:
    """The same, held until this transaction ends; with them those that may be pruned."""
    if asked.silences is None:
        return {}
    about = _silences_meant(tx, asked.silences)
    ids = {one.id for one in about.values() if one is not None}
    if asked.prune:
        ids |= {one.id for one in _not_over(tx) if one.applied_as is not None}
    held = silence_store.hold_many(tx, ids)
    return {place: None if one is None else held[one.id] for place, one in about.items()}


def _apply_silences(
    tx: Tx,
    asked: Asked,
    about: Mapping[int, Silence | None],
    usual: Mapping[str, int] | None,
    found: list[FieldError],
) -> list[Step]:
    if asked.silences is None:
        return []
    mine = {one.id for one in about.values() if one is not None}
    steps = []
    for silence in _not_over(tx):
        if silence.id not in mine:
            steps.append(left_over_silence(silence, prune=asked.prune))
            if steps[-1].action is Action.DELETE:
                silence_service.end(tx, silence.id)
    for place, wanted in asked.silences:
        try:
            one = silence_step(wanted, about[place], actor=str(tx.actor), now=tx.now)
            _carry_out(tx, one, usual)
        except Invalid as error:
            found += placed(error, SILENCES, place)
        else:
            steps.append(one.step)
    return steps


def _carry_out(tx: Tx, one: SilenceStep, usual: Mapping[str, int] | None) -> None:
    if one.before is not None and one.way in {Way.END, Way.REPLACE}:
        silence_service.end(tx, one.before.id)
    if one.before is not None and one.way is Way.EDIT:
        silence_service.change(tx, one.before.id, one.edits)
    if one.way in _MAKES:
        baseline_n = None if one.draft.break_factor is None else _usual(one.step.name, usual)
        silence_service.create(tx, one.draft, baseline_n=baseline_n, applied_as=one.step.name)


def _usual(name: str, usual: Mapping[str, int] | None) -> int:
    if usual is None:
        return 0  # it is taken back anyway
    if name not in usual:
        raise Conflict(detail=f"silence {name} was there when this was looked at, and no longer is; try again")
    return usual[name]
