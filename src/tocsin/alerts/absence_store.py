"""Every query about absences: what is known of each group, and since when intake has been up."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.alerts.absence import Group, Presence
from tocsin.alerts.model import absences, alerts
from tocsin.kit.clock import from_us, to_us
from tocsin.storage.columns import Instant
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 400
SEEN: Final = "intake_seen_us"
SINCE: Final = "intake_since_us"
Key = tuple[str, str]  # rule and fingerprint


def find(tx: ReadTx, keys: Collection[Key]) -> dict[Key, Group]:
    """What is known of these groups."""
    wanted = sorted(keys)
    found: dict[Key, Group] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = _key().in_(wanted[start : start + IN_CLAUSE])
        for row in tx.execute(select(absences).where(inside)):
            found[row.rule, row.fingerprint] = Group(**row._mapping)
    return found


def _key() -> Any:
    return tuple_(absences.c.rule, absences.c.fingerprint)


def learn(tx: Tx, groups: Iterable[Group]) -> None:
    """Keep groups that were not known; another transaction may just have done so."""
    rows = [asdict(group) for group in sorted(groups, key=lambda group: (group.rule, group.fingerprint))]
    if rows:
        upsert = postgresql.insert(absences) if tx.dialect == "postgresql" else sqlite.insert(absences)
        tx.execute(upsert.on_conflict_do_nothing(), rows)


def see(tx: Tx, groups: Iterable[Group]) -> None:
    """Write these signs of life down; an earlier one changes nothing. The rows are then held, in one order."""
    at = bindparam("at", type_=Instant())
    statement = (
        update(absences)
        .where(
            absences.c.rule == bindparam("of_rule"),
            absences.c.fingerprint == bindparam("of_group"),
            absences.c.seen_at <= at,
        )
        .values(
            seen_at=at,
            record_id=bindparam("to_record"),
            record_at=bindparam("to_record_at", type_=Instant()),
            level=bindparam("to_level"),
        )
    )
    rows = [
        {
            "of_rule": group.rule,
            "of_group": group.fingerprint,
            "at": group.seen_at,
            "to_record": group.record_id,
            "to_record_at": group.record_at,
            "to_level": group.level,
        }
        for group in sorted(groups, key=lambda group: (group.rule, group.fingerprint))
    ]
    if rows:
        tx.execute(statement, rows)


def bring_back(tx: Tx, keys: Collection[Key], at: datetime) -> None:
    """Groups whose absence was told of are there again."""
    tx.execute(update(absences).where(_key().in_(sorted(keys)), absences.c.absent).values(absent=False, back_since=at))


def silent(tx: Tx, rule: str, before: datetime, *, limit: int) -> list[Group]:
    """Groups last seen at `before` or earlier whose absence has not been told of, the first ones first; held."""
    mine = (absences.c.rule == rule) & (absences.c.seen_at <= before) & absences.c.absent.is_(False)
    statement = select(absences).where(mine).order_by(absences.c.seen_at, absences.c.fingerprint).limit(limit)
    return [Group(**row._mapping) for row in tx.execute(statement.with_for_update())]


def mark_absent(tx: Tx, keys: Sequence[Key]) -> None:
    """Their absence is told of now."""
    tx.execute(update(absences).where(_key().in_(keys)).values(absent=True, back_since=None))


def earliest(tx: ReadTx, rule: str) -> datetime | None:
    """When the group was seen that was longest not, of those whose absence has not been told of."""
    mine = (absences.c.rule == rule) & absences.c.absent.is_(False)
    found: datetime | None = tx.execute(select(func.min(absences.c.seen_at)).where(mine)).scalar_one()
    return found


def count(tx: ReadTx, rule: str) -> int:
    """How many groups of a rule are known."""
    return int(tx.execute(select(func.count()).where(absences.c.rule == rule)).scalar_one())


def forget_done(tx: Tx, rule: str) -> None:
    """Forget the groups whose absence was told of, and whose ticket a person has resolved since."""
    tx.execute(delete(absences).where(absences.c.rule == rule, absences.c.absent, ~_fires()))


def tell_again(tx: Tx, rule: str) -> None:
    """What only a rehearsal told of is to be told in earnest."""
    mine = (absences.c.rule == rule) & absences.c.absent & ~_fires()
    tx.execute(update(absences).where(mine).values(absent=False))


def _fires() -> Any:
    same = (alerts.c.fingerprint == absences.c.fingerprint) & alerts.c.ended_at.is_(None)
    return select(alerts.c.id).where(same).exists()


def forget_all(tx: Tx, rule: str) -> None:
    tx.execute(delete(absences).where(absences.c.rule == rule))


def back_since(tx: ReadTx, rule: str, fingerprint: str) -> datetime | None:
    """Since when a group whose absence was told of has been there again, without another one."""
    same = (absences.c.rule == rule) & (absences.c.fingerprint == fingerprint)
    found: datetime | None = tx.execute(select(absences.c.back_since).where(same)).scalar_one_or_none()
    return found


def open_alerts(tx: ReadTx, fingerprints: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """The open alert of each fingerprint that has one, and its ticket."""
    found: dict[str, tuple[int, int | None]] = {}
    wanted = sorted(fingerprints)
    columns = (alerts.c.fingerprint, alerts.c.id, alerts.c.ticket_id)
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = alerts.c.fingerprint.in_(wanted[start : start + IN_CLAUSE]) & alerts.c.ended_at.is_(None)
        found |= {row.fingerprint: (row.id, row.ticket_id) for row in tx.execute(select(*columns).where(mine))}
    return found


def presence(tx: ReadTx) -> Presence:
    """Since when intake has been up, as far as was written down."""
    found = dict(tx.execute(select(counters.c.name, counters.c.value).where(counters.c.name.in_([SEEN, SINCE]))).all())
    return Presence(from_us(found[SEEN]), from_us(found[SINCE]))


def hold_presence(tx: Tx) -> Presence:
    """The same; nobody else changes it until this transaction ends."""
    tx.execute(select(counters.c.name).where(counters.c.name == SEEN).with_for_update()).all()
    return presence(tx)


def set_presence(tx: Tx, presence: Presence) -> None:
    for name, at in ((SEEN, presence.seen_at), (SINCE, presence.since)):
        tx.execute(update(counters).where(counters.c.name == name).values(value=to_us(at)))
