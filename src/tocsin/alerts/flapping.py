"""When an alert flaps: it opens and ends again and again. Pure; the changes are the episodes of its fingerprint."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

WITHIN_S: Final = 1800
WITHIN: Final = timedelta(seconds=WITHIN_S)
CALM: Final = timedelta(minutes=30)
CHANGES: Final = 4

Episode = tuple[datetime, datetime | None]  # when it opened and ended


def changes(episodes: Iterable[Episode], since: datetime) -> int:
    """How many times an alert opened or ended at `since` or later."""
    return sum(at is not None and at >= since for episode in episodes for at in episode)


def flaps(changes: int) -> bool:
    """Whether so many changes within 30 minutes, the one that is about to be made among them, are too many."""
    return changes >= CHANGES


def quiet_for(quiet_s: int, *, flapping: bool) -> timedelta:
    """How long a rule must have had nothing to say before its alert ends: one that flaps first has to be calm."""
    quiet = timedelta(seconds=quiet_s)
    return max(quiet, CALM) if flapping else quiet
