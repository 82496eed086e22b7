"""P1..P5 and their names."""

from enum import IntEnum
from typing import Final


class Priority(IntEnum):
    """P1 wakes people; P5 is for information."""

    P1 = 1
    P2 = 2
    P3 = 3
    P4 = 4
    P5 = 5


PRIORITY_NAMES: Final = {"CRITICAL": 1, "HIGH": 2, "MEDIUM": 3, "LOW": 4, "INFO": 5}


def priority_of(text: str) -> Priority:
    """The priority that `P2`, `high` or `2` names. Raises ValueError with what was expected."""
    name = text.strip().upper()
    if name in PRIORITY_NAMES:
        return Priority(PRIORITY_NAMES[name])
    if name.removeprefix("P") in {"1", "2", "3", "4", "5"}:
        return Priority(int(name.removeprefix("P")))
    raise ValueError(f"{text[:40]!r} is not a priority; expected P1..P5 or CRITICAL, HIGH, MEDIUM, LOW, INFO")
