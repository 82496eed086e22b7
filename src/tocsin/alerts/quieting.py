"""The timers by which alerts end by themselves follow a rule that begins to let them, or does so sooner."""

from datetime import timedelta
from typing import Final

from tocsin.alerts import store
from tocsin.alerts.rules import Rule
from tocsin.storage import timers
from tocsin.storage.tx import Tx

QUIET: Final = "alert.quiet"


def rule_saved(tx: Tx, rule: Rule, before: Rule | None) -> None:
    """Alerts that are open already get a timer: they opened when their rule said nothing of it, or another time."""
    if before is None or rule.quiet_s is None or rule.quiet_s == before.quiet_s:
        return
    due_at = tx.now + timedelta(seconds=rule.quiet_s)
    timers.put_many(tx, QUIET, {str(alert_id): due_at for alert_id in store.open_of_rule(tx, rule.name)}, version=0)
