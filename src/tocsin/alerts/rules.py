"""What makes a record an alert. Every installation starts with the seed rule."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tocsin.kit.priorities import Priority
from tocsin.logs.levels import Level


@dataclass(frozen=True, slots=True)
class Rule:
    """Records of `level` and above open an alert per service and message template, and a ticket of `priority`.

    `version` is recorded with every verdict, so that a verdict can be checked against the rule in force then.
    """

    name: str
    version: int
    level: Level
    priority: Priority


SEED_RULE: Final = Rule(name="critical-logs", version=1, level=Level.CRITICAL, priority=Priority.P2)
REOPEN_WINDOW: Final = timedelta(minutes=30)  # a relapse, not a recurrence
