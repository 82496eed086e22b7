"""One example of the larger bodies of people and schedules, for /docs."""

from typing import Any, Final

_WEEKLY: Final[dict[str, Any]] = {
    "name": "primary",
    "users": ["ana", ["rui", "eva"]],
    "rotation": {"frequency": "weekly", "interval": 1, "start": "2026-11-23T09:00"},
}
_NIGHTS: Final[dict[str, Any]] = {
    "name": "nights",
    "priority": 1,
    "users": ["max"],
    "restrictions": [{"times": [["22:00", "06:00"]], "weekdays": ["mon-fri"]}],
}
_SCHEDULE: Final[dict[str, Any]] = {"time_zone": "Europe/Lisbon", "layers": [_WEEKLY, _NIGHTS]}


def _cut(start: str, end: str, *, truncated: bool = False, whole_end: str | None = None) -> dict[str, Any]:
    whole = {"whole_start": start, "whole_end": whole_end or end, "truncated": truncated}
    return {"start": start, "end": end, **whole}


_SHIFTS: Final[dict[str, Any]] = {
    "shifts": [
        {
            **_cut("2026-11-30T06:00:00Z", "2026-11-30T09:00:00Z"),
            "users": ["ana"],
            "layer": "primary",
            "override_id": None,
        },
        {
            **_cut("2026-11-30T09:00:00Z", "2026-11-30T12:00:00Z", truncated=True, whole_end="2026-11-30T22:00:00Z"),
            "users": ["rui", "eva"],
            "layer": "primary",
            "override_id": None,
        },
    ],
    "people": [{**_cut("2026-11-30T06:00:00Z", "2026-11-30T09:00:00Z"), "user": "ana"}],
    "gaps": [],
}
_USER: Final[dict[str, Any]] = {
    "name": "ana",
    "display_name": "Ana Sousa",
    "email": None,
    "time_zone": "Europe/Lisbon",
    "away": [{"start": "2026-12-21T00:00:00Z", "end": "2027-01-04T00:00:00Z", "note": "vacation"}],
    "version": 2,
    "created_at": "2026-11-24T02:21:00Z",
    "updated_at": "2026-11-25T08:00:00Z",
    "updated_by": "local:admin",
}

ONCALL_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "UserIn": {"display_name": "Ana Sousa", "time_zone": "Europe/Lisbon", "away": _USER["away"]},
    "UserOut": _USER,
    "ScheduleIn": {**_SCHEDULE, "description": "Payments, day and night."},
    "ScheduleTrialIn": {
        "schedule": {
            **_SCHEDULE,
            "overrides": [
                {"start": "2026-12-01T18:00:00Z", "end": "2026-12-01T22:00:00Z", "add": "ana", "remove": "rui"}
            ],
            "temporary": [
                {
                    "start": "2026-12-24T08:00:00Z",
                    "end": "2026-12-27T08:00:00Z",
                    "shifts": [{"start": "2026-12-24T08:00:00Z", "end": "2026-12-26T08:00:00Z", "users": ["eva"]}],
                }
            ],
        },
        "since": "2026-11-30T00:00:00Z",
        "until": "2027-01-01T00:00:00Z",
        "join": False,
    },
    "ShiftsOut": _SHIFTS,
    "TriedOut": {**_SHIFTS, "unknown_users": ["max"]},
    "OnCallOut": {
        "schedule": "payments",
        "at": "2026-11-30T08:00:00Z",
        "users": [{"name": "ana", "display_name": "Ana Sousa", "away": False}],
        "until": "2026-11-30T09:00:00Z",
    },
}
