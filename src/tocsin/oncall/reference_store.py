"""Every query about which of the names that something is called by there are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, select

from tocsin.oncall.escalation_model import oncall_items
from tocsin.oncall.item_service import ESCALATION_POLICY
from tocsin.oncall.model import schedules, teams, users
from tocsin.oncall.people_store import IN_CLAUSE
from tocsin.oncall.references import Reference, Referred
from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import sla_items
from tocsin.tickets.sla_store import CALENDAR

Names = Mapping[Referred, Select[Any]]
NAMES: Final[Names] = {
    Referred.USER: select(users.c.name).where(users.c.removed_at.is_(None)),
    Referred.TEAM: select(teams.c.name),
    Referred.SCHEDULE: select(schedules.c.name),
    Referred.ESCALATION_POLICY: select(oncall_items.c.name).where(oncall_items.c.kind == ESCALATION_POLICY.name),
    Referred.CALENDAR: select(sla_items.c.name).where(sla_items.c.kind == CALENDAR),
}


def there(tx: ReadTx, named: Iterable[Reference], names: Names = NAMES) -> dict[Referred, set[str]]:
    """Of all that is named, what there is, by its kind."""
    wanted: dict[Referred, set[str]] = {}
    for one in named:
        wanted.setdefault(one.kind, set()).add(one.name)
    return {kind: _among(tx, names[kind], sorted(some)) for kind, some in wanted.items()}


def _among(tx: ReadTx, statement: Select[Any], wanted: Sequence[str]) -> set[str]:
    [column] = statement.selected_columns
    found: set[str] = set()
    for start in range(0, len(wanted), IN_CLAUSE):
        found.update(tx.execute(statement.where(column.in_(wanted[start : start + IN_CLAUSE]))).scalars())
    return found


def first_names(
    tx: ReadTx, kinds: Iterable[Referred], names: Names = NAMES, *, limit: int
) -> dict[Referred, list[str]]:
    """The first so many names of each of these kinds."""
    found: dict[Referred, list[str]] = {}
    for kind in kinds:
        [column] = names[kind].selected_columns
        found[kind] = list(tx.execute(names[kind].order_by(column).limit(limit)).scalars())
    return found
