"""What a schedule that is not kept would be: its final shifts within a window, with a past that was otherwise."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from tocsin.oncall.schedules import FixedShift, Override, Schedule, Temporary, shifts_of_versions
from tocsin.oncall.seeing import Seen, seen

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def tried(
    schedule: Schedule,
    overrides: Sequence[Override],
    temporary: Sequence[Temporary],
    since: datetime,
    until: datetime,
    *,
    now: datetime | None = None,
    history: Sequence[FixedShift] = (),
    join: bool = False,
) -> Seen:
    """The final schedule from `since` to `until`. Raises TooManyShifts.

    With `now` it holds from then on, and before that it was as `history` says; a shift of that which has no end other
    than `now` goes on if the schedule has the same person on call then.
    """
    whole = replace(schedule, overrides=tuple(overrides), temporary=tuple(temporary))
    versions: list[tuple[datetime, Schedule | None]] = [(datetime.min.replace(tzinfo=UTC), whole)]
    if now is not None:
        past = Schedule(schedule.time_zone, (), temporary=(Temporary(0, BEGINNING, now, tuple(history)),))
        versions = [(BEGINNING, past), (now, whole)]
    return seen(lambda low, high: shifts_of_versions(versions, low, high), since, until, join=join)
