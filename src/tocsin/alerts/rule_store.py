"""Every query about rules: what is in force, their versions, and the number that says that something changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, null, select, update

from tocsin.alerts import form_store
from tocsin.alerts.model import rule_versions, rules, windows
from tocsin.alerts.rules import Rule, rule_of
from tocsin.kit.events import Undecided
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

RULESET: Final = "ruleset"
_VERSION: Final = "SELECT value FROM counters WHERE name = 'ruleset'"


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule with who changed it last, and whether it raised."""

    rule: Rule
    created_at: datetime
    updated_at: datetime
    updated_by: str
    broken_reason: str | None
    broken_at: datetime | None


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """What a rule said from an instant on; without `definition` it was removed then."""

    name: str
    version: int
    definition: dict[str, Any] | None
    at: datetime
    actor: str
    ruleset: int


def ruleset_version(tx: ReadTx) -> int:
    """The number of the state all rules are in. Every commit of records asks for it: as plain text it is cheap."""
    return int(tx.connection.exec_driver_sql(_VERSION).scalar_one())


def next_ruleset_version(tx: Tx) -> int:
    """Count a change of the rules; whoever changes another one waits until this transaction ends."""
    statement = update(counters).where(counters.c.name == RULESET).values(value=counters.c.value + 1)
    return int(tx.execute(statement.returning(counters.c.value)).scalar_one())


def hold_ruleset(tx: Tx) -> None:
    """Nobody else changes rules until this transaction ends."""
    tx.execute(select(counters.c.value).where(counters.c.name == RULESET).with_for_update())


def _rows() -> Select[Any]:
    same = (rule_versions.c.name == rules.c.name) & (rule_versions.c.version == rules.c.version)
    return select(rules, rule_versions.c.definition).join(rule_versions, same).order_by(rules.c.name)


def _row(found: Any) -> RuleRow:
    values = dict(found._mapping)
    rule = rule_of(values.pop("name"), values.pop("version"), values.pop("definition"))
    values.pop("enabled")
    return RuleRow(rule, **values)


def enabled_rules(tx: ReadTx) -> list[Rule]:
    """The rules in force, by name."""
    return [_row(found).rule for found in tx.execute(_rows().where(rules.c.enabled))]


def rules_that_raise(tx: ReadTx, names: Iterable[str]) -> dict[str, Rule]:
    """Those of these rules that make alerts more urgent as they grow."""
    found = (_row(row).rule for row in tx.execute(_rows().where(rules.c.name.in_(sorted(names)))))
    return {rule.name: rule for rule in found if rule.raise_at}


def get(tx: ReadTx, name: str) -> RuleRow | None:
    found = tx.execute(_rows().where(rules.c.name == name)).one_or_none()
    return None if found is None else _row(found)


def page(tx: ReadTx, *, after: str, limit: int, prefix: str = "") -> list[RuleRow]:
    """Rules by name; those whose name begins with `prefix`."""
    mine = (rules.c.name > after) & rules.c.name.startswith(prefix, autoescape=True)
    return [_row(found) for found in tx.execute(_rows().where(mine).limit(limit))]


def every(tx: ReadTx) -> list[RuleRow]:
    """All rules, by name."""
    return [_row(found) for found in tx.execute(_rows())]


def latest_version(tx: ReadTx, name: str) -> int:
    """The highest version a rule of this name ever had; 0 when there was none."""
    statement = select(func.coalesce(func.max(rule_versions.c.version), 0)).where(rule_versions.c.name == name)
    return int(tx.execute(statement).scalar_one())


def versions(tx: ReadTx, name: str, *, before: int | None, limit: int) -> list[RuleVersion]:
    """The versions of a rule, newest first, also of one that was removed."""
    statement = select(rule_versions).where(rule_versions.c.name == name).order_by(rule_versions.c.version.desc())
    if before is not None:
        statement = statement.where(rule_versions.c.version < before)
    return [RuleVersion(**row._mapping) for row in tx.execute(statement.limit(limit))]


def definition(tx: ReadTx, name: str, version: int) -> Rule | None:
    """What a rule said in one of its versions; None when it was removed by that one."""
    mine = (rule_versions.c.name == name) & (rule_versions.c.version == version)
    found = tx.execute(select(rule_versions.c.definition).where(mine)).scalar_one_or_none()
    return None if found is None else rule_of(name, version, found)


def add_version(tx: Tx, name: str, version: int, definition: dict[str, Any] | None, *, ruleset: int) -> None:
    row = {
        "name": name,
        "version": version,
        "definition": null() if definition is None else definition,
        "at": tx.now,
        "actor": str(tx.actor),
        "ruleset": ruleset,
    }
    tx.execute(insert(rule_versions).values(**row))


def put(tx: Tx, rule: Rule, *, is_new: bool) -> None:
    """Make this version the one in force; what broke an earlier one is forgotten."""
    row = {
        "version": rule.version,
        "enabled": rule.enabled,
        "updated_at": tx.now,
        "updated_by": str(tx.actor),
        "broken_reason": None,
        "broken_at": None,
    }
    if is_new:
        tx.execute(insert(rules).values(name=rule.name, created_at=tx.now, **row))
    else:
        tx.execute(update(rules).where(rules.c.name == rule.name).values(**row))


def remove(tx: Tx, name: str) -> None:
    """Take a rule out, and what it was counting and has learned. Its versions stay."""
    tx.execute(delete(rules).where(rules.c.name == name))
    tx.execute(delete(windows).where(windows.c.rule == name))
    form_store.forget_rule(tx, name)


def mark_broken(tx: Tx, failed: Iterable[Undecided]) -> list[Undecided]:
    """Show rules as broken; returns those that were not shown so before."""
    new: list[Undecided] = []
    for one in sorted(failed, key=lambda one: one.rule):
        same = (rules.c.name == one.rule) & (rules.c.version == one.rule_version) & rules.c.broken_at.is_(None)
        marked = tx.execute(update(rules).where(same).values(broken_at=tx.now, broken_reason=one.reason))
        if marked.rowcount:
            new.append(one)
    return new


def broken_since(tx: ReadTx, names: Iterable[str]) -> dict[str, datetime]:
    """When each of these rules raised first, if it is shown as broken."""
    broken = rules.c.name.in_(sorted(names)) & rules.c.broken_at.is_not(None)
    return {row.name: row.broken_at for row in tx.execute(select(rules.c.name, rules.c.broken_at).where(broken))}


def broken_versions(tx: ReadTx, names: Iterable[str]) -> dict[str, int]:
    """The versions of those of these rules that are shown as broken."""
    broken = rules.c.name.in_(sorted(names)) & rules.c.broken_at.is_not(None)
    return {row.name: row.version for row in tx.execute(select(rules.c.name, rules.c.version).where(broken))}


def mark_mended(tx: Tx, name: str) -> int | None:
    """The version of a rule that was shown as broken and no longer is."""
    broken = (rules.c.name == name) & rules.c.broken_at.is_not(None)
    statement = update(rules).where(broken).values(broken_at=None, broken_reason=None).returning(rules.c.version)
    found: int | None = tx.execute(statement).scalar_one_or_none()
    return found
