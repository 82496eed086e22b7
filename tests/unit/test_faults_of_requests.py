"""What is wrong with a request is said of its own places, in words, whatever it was checked against."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tocsin.web.faults import faults_within
from tocsin.web.paging_schemas import EscalationPolicyIn, RouteIn
from tocsin.web.schedule_schemas import OverrideIn, ScheduleIn
from tocsin.web.template_schemas import PreviewIn


def layers(*users: Any, **fields: Any) -> dict[str, Any]:
    return {"time_zone": "UTC", "layers": [{"users": list(users), **fields}]}


@pytest.mark.parametrize(
    ("model", "body", "found"),
    [
        (ScheduleIn, layers(1), {"/layers/0/users/0": "expected a string or a list"}),
        (ScheduleIn, layers("a", ["b", 2]), {"/layers/0/users/1/1": "expected a string"}),
        (ScheduleIn, layers(""), {"/layers/0/users/0": "must not be empty"}),
        (ScheduleIn, layers("a\0"), {"/layers/0/users/0": "holds the character U+0000"}),
        (
            ScheduleIn,
            layers(restrictions=[{"days_of_month": [None], "months": 3}]),
            {
                "/layers/0/restrictions/0/days_of_month/0": "expected a whole number or a string",
                "/layers/0/restrictions/0/months": "expected a list",
            },
        ),
        (
            ScheduleIn,
            {"a/b": 1},
            {"/time_zone": "is required", "/a~1b": "does not exist here; see /docs for what there is"},
        ),
        (
            EscalationPolicyIn,
            {"steps": "x", "ack_timeout_s": {"P9": 1, "P1": "x"}},
            {
                "/steps": "expected a list",
                "/ack_timeout_s/P9": "expected 'P1', 'P2', 'P3', 'P4' or 'P5'",
                "/ack_timeout_s/P1": "expected a whole number",
            },
        ),
        (
            RouteIn,
            {"channels": ["a"] * 21, "place": 0, "continue": "x", "team": "x" * 101, "when": "never"},
            {
                "/channels": "expected at most 20",
                "/place": "expected at least 1",
                "/continue": "expected true or false",
                "/team": "expected at most 100 characters",
                "/when": "expected 'always', 'within' or 'outside'",
            },
        ),
    ],
)  # fmt: skip
def test_one_fault_for_each_place_that_is_wrong(model: type[BaseModel], body: Any, found: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    assert {fault.pointer: fault.detail for fault in faults_within(refused.value, body)} == found


def test_members_of_ours_are_named_by_what_people_write() -> None:
    with pytest.raises(ValidationError) as refused:
        PreviewIn.model_validate({"kind": "news"})
    [fault] = faults_within(refused.value, {"kind": "news"})
    assert fault.detail.startswith("expected 'opened', 'reopened', ")
    assert "Kind" not in fault.detail


def test_an_instant_without_an_offset_is_utc_as_everywhere_over_http() -> None:
    naive = OverrideIn.model_validate({"start": "2026-11-28T18:00", "end": "2026-11-28T19:00"})
    aware = OverrideIn.model_validate({"start": "2026-11-28T18:00Z", "end": "2026-11-28T20:00+01:00"})
    assert naive == aware
