"""Changes of services: what is refused, and where they stand in a timeline, page by page."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.errors import Invalid
from tocsin.tickets.changes import AHEAD, KEPT, beside, check_change, woven

NOW = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)


@dataclass(frozen=True)
class One:
    at: datetime
    what: str


def ones(what: str, minutes: list[int]) -> list[One]:
    return [One(NOW + timedelta(minutes=minute), what) for minute in minutes]


minutes = st.lists(st.integers(0, 9), max_size=8)


@given(minutes, minutes.map(sorted), st.integers(1, 5))
def test_pages_of_a_timeline_hold_what_one_page_would(told: list[int], changed: list[int], limit: int) -> None:
    events, changes = ones("event", told), ones("change", changed)
    whole = list(woven(events, changes))
    assert [one for one in whole if one.what == "event"] == events
    pages: list[One] = []
    while True:
        page = list(woven(events[: limit + 1], changes[: limit + 1]))
        pages += page[:limit]
        if len(page) <= limit:
            break
        taken = sum(one.what == "event" for one in page[:limit])
        events, changes = events[taken:], changes[limit - taken :]
    assert pages == whole


def test_a_change_stands_before_what_happened_later_and_after_what_happened_with_it() -> None:
    found = list(woven(ones("event", [1, 3]), ones("change", [0, 1, 2, 9])))
    assert [one.what for one in found] == ["change", "event", "change", "change", "event", "change"]


def test_it_is_beside_a_ticket_from_half_an_hour_before_until_it_was_over() -> None:
    assert beside(NOW, NOW + timedelta(hours=1), NOW + timedelta(days=9)) == (
        NOW - timedelta(minutes=30),
        NOW + timedelta(hours=1),
    )
    assert beside(NOW, None, NOW)[1] >= NOW


@pytest.mark.parametrize(
    ("at", "url", "attributes", "pointers"),
    [
        (NOW, None, {}, []),
        (NOW - KEPT, "https://ci.example.org/payments/481?a=b#c", {"a": 1}, []),
        (NOW + AHEAD + timedelta(seconds=1), None, {}, ["/at"]),
        (NOW - KEPT - timedelta(seconds=1), "javascript:alert(1)", {}, ["/at", "/url"]),
        (NOW, "https://a b", {str(n): n for n in range(51)}, ["/url", "/attributes"]),
        (NOW, "https://", {"a": "x" * 16_384}, ["/url", "/attributes"]),
    ],
)
def test_what_is_wrong_with_a_change_is_named(
    at: datetime, url: str | None, attributes: dict[str, Any], pointers: list[str]
) -> None:
    if not pointers:
        check_change(at, url, attributes, NOW)
        return
    with pytest.raises(Invalid) as refused:
        check_change(at, url, attributes, NOW)
    assert [error.pointer for error in refused.value.errors] == pointers
