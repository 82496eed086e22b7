"""Use cases of rules: make, change, switch on and off, remove; and the rules in force as detection has them."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.alerts import absences, quieting, silence_store
from tocsin.alerts import rule_store as store
from tocsin.alerts.detect import detect
from tocsin.alerts.rule_store import RuleRow, RuleVersion
from tocsin.alerts.rules import DEFINED, Rule, check, check_name
from tocsin.alerts.ruleset import RuleSet
from tocsin.alerts.store import Rehearsal
from tocsin.alerts.store import rehearsals as stored_rehearsals
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound, PreconditionFailed
from tocsin.kit.events import Detected, RuleMended, RuleRemoved, RuleSaved
from tocsin.logs.record import Columns
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

TRY_SLOW_AGAIN: Final = timedelta(seconds=30)
_RULES: Final = "rules"
_VERSIONS: Final = "rule_versions"
_REHEARSALS: Final = "rehearsals"


@dataclass(slots=True)
class _Slow:
    """A rule that took too long. `tried_at`: when that was last; `shown`: it has been seen to be shown as broken."""

    version: int
    reason: str
    tried_at: datetime
    shown: bool = False


class RuleBook:
    """The rules in force, kept in memory. `refresh` is cheap while nothing changed, whichever process changes it.

    A rule that took more than its budget, by the clock `cpu_ns` of the thread, is not asked again at intake: its
    records are undecided at once, and wait. Retries ask it, once in `TRY_SLOW_AGAIN`, until it is well again here, or
    is no longer shown as broken because it was elsewhere, or has been changed.
    """

    def __init__(self, database: Database, *, cpu_ns: Callable[[], int] = time.thread_time_ns) -> None:
        self._database = database
        self._cpu_ns = cpu_ns
        self._reading = threading.Lock()
        self._ruleset = RuleSet(0, ())
        self._slow: dict[str, _Slow] = {}
        database.read(self.refresh)

    def refresh(self, tx: ReadTx) -> int:
        """Read the rules and silences again if they changed since; the state that is known from now on."""
        if store.ruleset_version(tx) > self._ruleset.version:
            with self._reading:
                version = store.ruleset_version(tx)
                if version > self._ruleset.version:  # and no other thread that looked later was faster
                    self._ruleset = RuleSet(version, store.enabled_rules(tx), silence_store.unexpired(tx))
        if self._slow:
            self._forget_the_well(tx)
        return self._ruleset.version

    def find(self, columns: Columns, first_id: int, backfill: bool) -> Detected:
        """What the rules find in a chunk."""
        known = {name: one.reason for name, one in list(self._slow.items())}
        return self._found(self._ruleset, columns, first_id, backfill, known)

    def find_of(self, rule: str, columns: Columns, first_id: int, backfill: bool) -> Detected:
        """What one rule finds in a chunk; nothing, when it is no longer in force."""
        slow = self._slow.get(rule)
        resting = slow is not None and self._database.clock.now() < slow.tried_at + TRY_SLOW_AGAIN
        known = {rule: slow.reason} if slow is not None and resting else {}
        found = self._found(self._ruleset.only(rule), columns, first_id, backfill, known)
        if not found.undecided:
            self._slow.pop(rule, None)
        return found

    def _found(
        self, ruleset: RuleSet, columns: Columns, first_id: int, backfill: bool, known: Mapping[str, str]
    ) -> Detected:
        found = detect(columns, ruleset, first_id=first_id, backfill=backfill, cpu_ns=self._cpu_ns, too_slow=known)
        for one in found.undecided:
            if one.too_slow and one.rule not in known:
                before = self._slow.get(one.rule)
                now = self._database.clock.now()
                shown = before is not None and before.shown
                self._slow[one.rule] = _Slow(one.rule_version, one.reason, now, shown)
        return found

    def _forget_the_well(self, tx: ReadTx) -> None:
        broken = store.broken_versions(tx, self._slow)
        for name, one in list(self._slow.items()):
            if broken.get(name) == one.version:
                one.shown = True
            elif one.shown or not self._ruleset.has(name, one.version):
                self._slow.pop(name, None)


def get(tx: ReadTx, name: str) -> RuleRow:
    """One rule. Raises NotFound."""
    found = store.get(tx, name)
    if found is None:
        raise NotFound(what="rule", id=name)
    return found


def create(tx: Tx, rule: Rule) -> RuleRow:
    """Make a rule. Raises Invalid, and Conflict when there is one of that name."""
    check(rule)
    ruleset = store.next_ruleset_version(tx)
    if store.get(tx, rule.name) is not None:
        raise Conflict(detail=f"there is a rule {rule.name} already; change it with PUT /rules/{rule.name}")
    return _save(tx, rule, None, ruleset)


def save(tx: Tx, rule: Rule, *, seen_version: int | None = None) -> tuple[RuleRow, bool]:
    """Make or replace a rule, and whether it is new. What changes nothing makes no version.

    Raises Invalid; with `seen_version`, PreconditionFailed unless the rule is at that one.
    """
    check(rule)
    return _replace(tx, rule, store.next_ruleset_version(tx), seen_version)


def change(tx: Tx, name: str, changes: Mapping[str, Any], *, seen_version: int | None = None) -> RuleRow:
    """Change some fields of a rule. Raises NotFound, Invalid, PreconditionFailed."""
    ruleset = store.next_ruleset_version(tx)
    rule = replace(get(tx, name).rule, **changes)
    check(rule)
    return _replace(tx, rule, ruleset, seen_version)[0]


def _replace(tx: Tx, rule: Rule, ruleset: int, seen_version: int | None) -> tuple[RuleRow, bool]:
    before = store.get(tx, rule.name)
    version = 0 if before is None else before.rule.version
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)
    if before is not None and replace(rule, version=version) == before.rule:
        return before, False
    return _save(tx, rule, before, ruleset), before is None


def _save(tx: Tx, rule: Rule, before: RuleRow | None, ruleset: int) -> RuleRow:
    rule = replace(rule, version=store.latest_version(tx, rule.name) + 1)
    store.add_version(tx, rule.name, rule.version, rule.definition(), ruleset=ruleset)
    store.put(tx, rule, is_new=before is None)
    absences.rule_saved(tx, rule, None if before is None else before.rule)
    quieting.rule_saved(tx, rule, None if before is None else before.rule)
    changed = tuple(n for n in DEFINED if before is not None and getattr(rule, n) != getattr(before.rule, n))
    tx.emit(RuleSaved(rule.name, rule.version, enabled=rule.enabled, dry_run=rule.dry_run, changed=changed))
    return get(tx, rule.name)


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> RuleRow:
    """Take a rule out of force; its versions stay, because verdicts name them. Raises NotFound, PreconditionFailed."""
    ruleset = store.next_ruleset_version(tx)
    found = get(tx, name)
    if seen_version is not None and seen_version != found.rule.version:
        raise PreconditionFailed(version=found.rule.version, wanted=seen_version)
    version = found.rule.version + 1
    store.add_version(tx, name, version, None, ruleset=ruleset)
    store.remove(tx, name)
    absences.rule_removed(tx, name)
    tx.emit(RuleRemoved(name, version))
    return found


def mend(tx: Tx, name: str) -> None:
    """A rule that had raised has worked on its records: it is no longer shown as broken."""
    version = store.mark_mended(tx, name)
    if version is not None:
        tx.emit(RuleMended(name, version))


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[RuleRow], str | None]:
    """A page of rules by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _RULES, str)[0])
    check_name(after or "a")
    found = database.read(lambda tx: store.page(tx, after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_RULES, items[-1].rule.name) if len(found) > limit else None


def versions(database: Database, name: str, *, cursor: str | None, limit: int) -> tuple[list[RuleVersion], str | None]:
    """A page of a rule's versions, newest first, also of a removed one. Raises NotFound when there never was any."""
    before = None if cursor is None else int(decode_cursor(cursor, _VERSIONS, int)[0])
    found = database.read(lambda tx: store.versions(tx, name, before=before, limit=limit + 1))
    if not found and before is None:
        raise NotFound(what="rule", id=name)
    items = found[:limit]
    return items, encode_cursor(_VERSIONS, items[-1].version) if len(found) > limit else None


def rehearsals(database: Database, name: str, *, cursor: str | None, limit: int) -> tuple[list[Rehearsal], str | None]:
    """A page of what a rule in a dry run would have opened, newest first. Raises NotFound."""
    before = None if cursor is None else int(decode_cursor(cursor, _REHEARSALS, int)[0])

    def look(tx: ReadTx) -> list[Rehearsal]:
        get(tx, name)
        return stored_rehearsals(tx, name, before=before, limit=limit + 1)

    found = database.read(look)
    items = found[:limit]
    return items, encode_cursor(_REHEARSALS, items[-1].id) if len(found) > limit else None
