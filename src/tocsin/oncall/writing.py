"""A schedule as it is kept and shown: as JSON values, one way for each meaning (`declaring` reads them)."""

from typing import Any

from tocsin.kit.clock import iso
from tocsin.oncall.declaring import WEEKDAYS
from tocsin.oncall.restrictions import DAY_MINUTES, Range, Restriction
from tocsin.oncall.rotations import Rotation
from tocsin.oncall.schedules import Layer, Schedule


def definition_of(schedule: Schedule) -> dict[str, Any]:
    """The JSON values of a schedule; its overrides are not part of it."""
    return {
        "description": schedule.description,
        "time_zone": schedule.time_zone,
        "layers": [_layer_written(layer) for layer in schedule.layers],
        "coverage": [_restriction_written(one) for one in schedule.coverage],
    }


def _layer_written(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "priority": layer.priority,
        "users": [group[0] if len(group) == 1 else list(group) for group in layer.groups],
        "rotation": None if layer.rotation is None else _rotation_written(layer.rotation),
        "restrictions": [_restriction_written(one) for one in layer.restrictions],
        "time_zone": layer.time_zone,
        "starts_at": None if layer.starts_at is None else iso(layer.starts_at),
        "ends_at": None if layer.ends_at is None else iso(layer.ends_at),
    }


def _rotation_written(rotation: Rotation) -> dict[str, Any]:
    return {
        "frequency": rotation.frequency.value,
        "interval": rotation.interval,
        "start": rotation.start.isoformat(timespec="seconds"),
        "hours": "elapsed" if rotation.elapsed else "wall",
        "weekdays": [WEEKDAYS[day] for day in sorted(rotation.weekdays)],
        "week_start": WEEKDAYS[rotation.week_start],
        "covers": "all" if rotation.whole else "first",
        "length_s": rotation.length_s,
        "handoffs": [f"{WEEKDAYS[one.weekday]} {one.at:%H:%M}" for one in rotation.handoffs],
    }


def _restriction_written(one: Restriction) -> dict[str, Any]:
    return {
        "times": [
            [_clock(low), _clock(high if high <= DAY_MINUTES else high - DAY_MINUTES)] for low, high in one.times
        ],
        "weekdays": [WEEKDAYS[day] for day in sorted(one.weekdays)],
        "days_of_month": [_range_written(pair) for pair in one.days_of_month],
        "months": [_range_written(pair) for pair in one.months],
        "years": [_range_written(pair) for pair in one.years],
        "time_zone": one.time_zone,
    }


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _range_written(pair: Range) -> int | str:
    return pair[0] if pair[0] == pair[1] else f"{pair[0]}:{pair[1]}"
