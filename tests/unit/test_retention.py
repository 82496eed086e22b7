"""Retention as text: what is understood, and what is told of the rest."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs.retention import Retention, parse_retention

DAY = timedelta(days=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters=",=*", exclude_categories=("Cc", "Zs", "Cs")), min_size=1
)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90d", 90 * DAY),
        ("12h", DAY / 2),
        ("4w", 28 * DAY),
        ("1y", 365 * DAY),
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        (" 7 d ", 7 * DAY),
        ("1000y", 365_000 * DAY),
    ],
)
def test_durations(text: str, age: timedelta) -> None:
    assert parse_retention(text, None, None) == Retention(age=age)


@pytest.mark.parametrize(
    ("text", "total_bytes"),
    [
        ("500MB", 500_000_000),
        ("50GB", 50_000_000_000),
        ("2TiB", 2 << 40),
        ("1.5 GiB", 3 << 29),
        ("10g", 10_000_000_000),
        ("4096", 4096),
        ("4096B", 4096),
        ("1kb", 1000),
    ],
)
def test_sizes(text: str, total_bytes: int) -> None:
    assert parse_retention(None, text, None) == Retention(total_bytes=total_bytes)


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_without_a_word_all_is_kept_for_ever(nothing: str | None) -> None:
    retention = parse_retention(nothing, nothing, nothing)
    assert retention == Retention()
    assert (retention.age_of("shop"), retention.shortest) == (None, None)


@pytest.mark.parametrize(
    "text", ["90", "d", "-1d", "1.5d", "0d", "1d2h", "30 days", "1M", "9999999d", "٣d", "for ever"]
)
def test_what_is_no_duration_is_told_with_its_variable(text: str) -> None:
    with pytest.raises(ValueError, match=r"^TOCSIN_RETENTION: '.*' is not a duration such as 12h, 30d, 4w or 1y$"):
        parse_retention(text, None, None)
    with pytest.raises(ValueError, match=r"^TOCSIN_RETENTION_SERVICES: '.*' is not a duration"):
        parse_retention(None, None, f"shop={text}")


@pytest.mark.parametrize("text", ["1001y", "999999w"])
def test_what_lies_before_all_dates_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"TOCSIN_RETENTION: .* is more than 1000y"):
        parse_retention(text, None, None)


@pytest.mark.parametrize("text", ["0", "0GB", "0.1B", "0.9", "GB", "-5GB", "5XB", "5iB", "1,5GB", "٣GB", "50 GB free"])
def test_what_is_no_size_is_told_with_its_variable(text: str) -> None:
    with pytest.raises(ValueError, match=r"^TOCSIN_RETENTION_BYTES: '.*' is not a size such as 500MB, 50GB or 2TiB$"):
        parse_retention(None, text, None)


@pytest.mark.parametrize("text", ["audit", "=3d", " =3d", "audit:3d", "a=1d,b", "a=1d;b"])
def test_what_names_no_service_and_duration_is_told_with_its_variable(text: str) -> None:
    with pytest.raises(ValueError, match=r"^TOCSIN_RETENTION_SERVICES: '.*' is not (NAME=DURATION|a duration)"):
        parse_retention(None, None, text)


def test_a_service_is_kept_as_its_first_match_says_longer_too() -> None:
    retention = parse_retention("30d", None, "debug-svc=3d, audit=365d,batch-*=7d,batch-1=1d,")
    wanted = {"debug-svc": 3, "audit": 365, "batch-1": 7, "batch-": 7, "batch": 30, "shop": 30, "AUDIT": 30}
    assert {service: retention.age_of(service) for service in wanted} == {s: n * DAY for s, n in wanted.items()}
    assert retention.shortest == DAY


def test_a_service_may_be_kept_for_a_time_and_all_others_for_ever() -> None:
    retention = parse_retention(None, None, "*-debug=3d")
    assert (retention.age_of("shop-debug"), retention.age_of("shop"), retention.shortest) == (3 * DAY, None, 3 * DAY)


@pytest.mark.parametrize("name", ["a?c", "[ab]", "[!a]", "a]", "a[", "a=b", "a b"])
def test_signs_other_than_the_star_stand_for_themselves(name: str) -> None:
    retention = parse_retention(None, None, f"{name}=1d")
    assert retention.age_of(name) == DAY
    assert [retention.age_of(other) for other in ("abc", "a", "b", "a?", name + "x")] == [None] * 5


@given(st.integers(1, 999_999), st.sampled_from("smhdwy"))
def test_every_duration_is_itself_and_leads_to_a_date_or_is_refused(count: int, unit: str) -> None:
    seconds = count * SECONDS[unit]
    if seconds > 365_000 * 86_400:
        with pytest.raises(ValueError, match="more than 1000y"):
            parse_retention(f"{count}{unit}", None, None)
        return
    age = parse_retention(f"{count}{unit}", None, None).age
    assert age == timedelta(seconds=seconds)
    assert LONG_AGO - age < LONG_AGO


@given(st.decimals(Decimal("0.001"), 10**12 - 1, places=3), st.sampled_from(["K", "M", "G", "T"]), st.booleans())
def test_every_size_is_exact_to_the_byte(number: Decimal, unit: str, binary: bool) -> None:
    step = (1024 if binary else 1000) ** ("KMGT".index(unit) + 1)
    text = f"{number}{unit}{'i' if binary else ''}B"
    assert parse_retention(None, text, None).total_bytes == int(number * step)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_understood_or_refused_by_name(age: str, total: str, services: str) -> None:
    try:
        retention = parse_retention(age, total, services)
    except ValueError as error:
        assert str(error).startswith("TOCSIN_RETENTION")  # noqa: PT017  # most texts are wrong, not all
    else:
        assert retention.total_bytes is None or retention.total_bytes > 0
        assert retention.shortest is None or retention.shortest > timedelta(0)


@given(NAMES, NAMES)
def test_a_name_without_a_star_is_itself_and_nothing_else(name: str, other: str) -> None:
    name = name.strip()
    if not name:
        return
    retention = parse_retention(None, None, f"{name}=1d")
    assert retention.age_of(name) == DAY
    assert (retention.age_of(other) == DAY) == (other == name)
