"""Every query about forms: those of a service, what stands for their patterns, and which of them rules have met."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.alerts.form_model import form_counts, forms, known_forms, learning
from tocsin.alerts.forms import Form
from tocsin.alerts.pattern_model import patterns
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 500


class Head(NamedTuple):
    """How many forms a service has, and the digest of them all."""

    forms: int
    chain: str


Place = tuple[str, int]  # service and number


Met = tuple[str, str, int]  # a form that a rule has met: rule, service and number


class KnownAs(NamedTuple):
    """Whether the alert of a form that a rule has met may still be open, and since when that is so."""

    alerted: bool
    at: datetime


class Known(NamedTuple):
    """A form as it is shown now: `shown_as` is the pattern that stands for its own, the `mined` one."""

    service: str
    number: int
    template: str
    mined: int
    shown_as: int


def heads(tx: ReadTx, services: Collection[str]) -> dict[str, Head]:
    """Of the services that have forms."""
    return _heads(tx, services, hold=False)


def hold_heads(tx: Tx, services: Collection[str]) -> dict[str, Head]:
    """The same; nobody else can add forms to these services until the transaction ends."""
    rows = [{"service": service, "forms": 0, "chain": ""} for service in sorted(services)]
    tx.execute(_insert(tx, form_counts).on_conflict_do_nothing(), rows)
    return _heads(tx, services, hold=True)


def _heads(tx: ReadTx, services: Collection[str], *, hold: bool) -> dict[str, Head]:
    wanted = sorted(services)
    found: dict[str, Head] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = form_counts.c.service.in_(wanted[start : start + IN_CLAUSE])
        statement = select(form_counts).where(inside).order_by(form_counts.c.service)
        for row in tx.execute(statement.with_for_update() if hold else statement):
            found[row.service] = Head(row.forms, row.chain)
    return found


def _insert(tx: Tx, table: Any) -> Any:
    return postgresql.insert(table) if tx.dialect == "postgresql" else sqlite.insert(table)


def read(tx: ReadTx, service: str, *, after: int, upto: int) -> list[Form]:
    """The forms of a service with numbers in (after, upto], in their order."""
    inside = (forms.c.service == service) & (forms.c.number > after) & (forms.c.number <= upto)
    found = tx.execute(select(forms.c.template, forms.c.text).where(inside).order_by(forms.c.number))
    return [Form(row.template, row.text) for row in found]


def read_all(tx: ReadTx, upto: Mapping[str, int]) -> dict[str, list[Form]]:
    """The forms of several services up to a number, in their order."""
    wanted = sorted(upto)
    found: dict[str, list[Form]] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = forms.c.service.in_(wanted[start : start + IN_CLAUSE])
        for row in tx.execute(select(forms).where(inside).order_by(forms.c.service, forms.c.number)):
            if row.number <= upto[row.service]:
                found.setdefault(row.service, []).append(Form(row.template, row.text))
    return found


def add(tx: Tx, new: Mapping[Place, tuple[Form, int]], heads: Mapping[str, Head]) -> None:
    """Add forms, each with its pattern's id, to services that are held, and say what those have now."""
    rows = [
        {"service": service, "number": number, "template": form.template, "text": form.text, "pattern_id": pattern_id}
        for (service, number), (form, pattern_id) in sorted(new.items())
    ]
    tx.execute(insert(forms), rows)
    mine = form_counts.c.service == bindparam("of_service")
    statement = update(form_counts).where(mine).values(forms=bindparam("to"), chain=bindparam("to_chain"))
    tx.execute(
        statement,
        [{"of_service": one, "to": head.forms, "to_chain": head.chain} for one, head in sorted(heads.items())],
    )


def point(tx: Tx, pattern_of: Mapping[Place, int]) -> None:
    """The miner has put forms into other patterns, by their ids."""
    mine = (forms.c.service == bindparam("of_service")) & (forms.c.number == bindparam("of_form"))
    rows = [{"of_service": one, "of_form": number, "to": to} for (one, number), to in sorted(pattern_of.items())]
    if rows:
        tx.execute(update(forms).where(mine).values(pattern_id=bindparam("to")), rows)


def _canonical() -> Any:
    return func.coalesce(patterns.c.merged_into, patterns.c.id).label("shown_as")


def shown_as(tx: ReadTx, places: Collection[Place]) -> dict[Place, int]:
    """What the pattern of each of these forms is shown as."""
    found: dict[Place, int] = {}
    wanted = sorted(places)
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = tuple_(forms.c.service, forms.c.number).in_(wanted[start : start + IN_CLAUSE])
        columns = (forms.c.service, forms.c.number, _canonical())
        statement = select(*columns).join(patterns, patterns.c.id == forms.c.pattern_id).where(mine)
        found.update({(row.service, row.number): row.shown_as for row in tx.execute(statement)})
    return found


def of_patterns(tx: ReadTx, services: Collection[str], canonical: Collection[int]) -> list[Known]:
    """The forms of these services whose patterns are shown as one of these; of a service, the oldest first."""
    found: list[Known] = []
    some, all_services = sorted(canonical), sorted(services)
    for first in range(0, len(all_services), IN_CLAUSE):
        inside = forms.c.service.in_(all_services[first : first + IN_CLAUSE])
        for start in range(0, len(some), IN_CLAUSE):
            ids = some[start : start + IN_CLAUSE]
            columns = (forms.c.service, forms.c.number, forms.c.template, forms.c.pattern_id, _canonical())
            statement = (
                select(*columns)
                .join(patterns, patterns.c.id == forms.c.pattern_id)
                .where(or_(patterns.c.id.in_(ids), patterns.c.merged_into.in_(ids)), inside)
            )
            found += [Known(*row) for row in tx.execute(statement)]
    return sorted(one for one in set(found) if one.shown_as in canonical)


# What rules about new patterns have met.


def known(tx: ReadTx, wanted: Collection[Met]) -> dict[Met, KnownAs]:
    """Those of these forms that rules have met."""
    found: dict[Met, KnownAs] = {}
    for some in _sliced(wanted):
        for row in tx.execute(select(known_forms).where(_met().in_(some))):
            found[row.rule, row.service, row.number] = KnownAs(row.alerted, row.at)
    return found


def make_known(tx: Tx, alerted: Mapping[Met, bool]) -> set[Met]:
    """Rules have met these forms; returns those of which another transaction was not faster to say so."""
    rows = [
        {"rule": rule, "service": service, "number": number, "alerted": alerts, "at": tx.now}
        for (rule, service, number), alerts in sorted(alerted.items())
    ]
    if not rows:
        return set()
    columns = (known_forms.c.rule, known_forms.c.service, known_forms.c.number)
    statement = _insert(tx, known_forms).on_conflict_do_nothing().returning(*columns)
    return {(row.rule, row.service, row.number) for row in tx.execute(statement, rows)}


def settle_known(tx: Tx, wanted: Collection[Met]) -> None:
    """The alerts of these forms have ended."""
    for some in _sliced(wanted):
        mine = _met().in_(some) & known_forms.c.alerted
        tx.execute(update(known_forms).where(mine).values(alerted=False, at=tx.now))


def _met() -> Any:
    return tuple_(known_forms.c.rule, known_forms.c.service, known_forms.c.number)


def _sliced(wanted: Collection[Met]) -> Iterator[list[Met]]:
    in_order = sorted(wanted)
    return (in_order[start : start + IN_CLAUSE] for start in range(0, len(in_order), IN_CLAUSE))


def learning_since(tx: Tx, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """When rules met the first record of services: now, where they never did."""
    found = _learning_since(tx, wanted)
    rows = [{"rule": rule, "service": service, "since": tx.now} for rule, service in sorted(set(wanted) - found.keys())]
    if not rows:
        return found
    tx.execute(_insert(tx, learning).on_conflict_do_nothing(), rows)
    return found | _learning_since(tx, set(wanted) - found.keys())  # another transaction may have been faster


def _learning_since(tx: ReadTx, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    found: dict[tuple[str, str], datetime] = {}
    in_order = sorted(wanted)
    for start in range(0, len(in_order), IN_CLAUSE):
        mine = tuple_(learning.c.rule, learning.c.service).in_(in_order[start : start + IN_CLAUSE])
        found.update({(row.rule, row.service): row.since for row in tx.execute(select(learning).where(mine))})
    return found


def forget_rule(tx: Tx, rule: str) -> None:
    """A rule was removed: one of that name learns anew."""
    tx.execute(delete(known_forms).where(known_forms.c.rule == rule))
    tx.execute(delete(learning).where(learning.c.rule == rule))
