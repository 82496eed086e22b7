"""Every query about forms: those of a service, what stands for their patterns, and which of them rules have met."""

from collections.abc import Collection, Mapping
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


def known(tx: ReadTx, rule: str, service: str, numbers: Collection[int]) -> list[tuple[bool, datetime]]:
    """Of these forms those that a rule has met: whether they are `alerted`, and since when it is so."""
    found: list[tuple[bool, datetime]] = []
    wanted = sorted(numbers)
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = (known_forms.c.rule == rule) & (known_forms.c.service == service)
        inside = mine & known_forms.c.number.in_(wanted[start : start + IN_CLAUSE])
        found += [(row.alerted, row.at) for row in tx.execute(select(known_forms).where(inside))]
    return found


def make_known(tx: Tx, rule: str, service: str, number: int, *, alerted: bool) -> bool:
    """A rule has met a form; False when another transaction was faster."""
    row = {"rule": rule, "service": service, "number": number, "alerted": alerted, "at": tx.now}
    statement = _insert(tx, known_forms).on_conflict_do_nothing().returning(known_forms.c.number)
    return tx.execute(statement, row).one_or_none() is not None


def settle_known(tx: Tx, rule: str, service: str, numbers: Collection[int]) -> None:
    """The alert of these forms has ended."""
    wanted = sorted(numbers)
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = (known_forms.c.rule == rule) & (known_forms.c.service == service)
        inside = mine & known_forms.c.number.in_(wanted[start : start + IN_CLAUSE])
        tx.execute(update(known_forms).where(inside, known_forms.c.alerted).values(alerted=False, at=tx.now))


def learning_since(tx: Tx, rule: str, service: str) -> datetime:
    """When a rule met the first record of a service: now, if it never did."""
    mine = (learning.c.rule == rule) & (learning.c.service == service)
    for _ in range(2):
        found: datetime | None = tx.execute(select(learning.c.since).where(mine)).scalar_one_or_none()
        if found is not None:
            return found
        row = {"rule": rule, "service": service, "since": tx.now}
        tx.execute(_insert(tx, learning).on_conflict_do_nothing(), row)
    return tx.now


def forget_rule(tx: Tx, rule: str) -> None:
    """A rule was removed: one of that name learns anew."""
    tx.execute(delete(known_forms).where(known_forms.c.rule == rule))
    tx.execute(delete(learning).where(learning.c.rule == rule))
