"""Levels by name and number."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs.levels import (
    SEVERITY_BY_NAME,
    SYSLOG_SEVERITIES,
    Level,
    level_of_severity,
    severity_of_name,
    severity_of_number,
)

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors_ingest" / "severity_number_map.json"


def _vectors() -> list[tuple[str, str | int, int]]:
    if not VECTORS.exists():
        return []
    return [
        (case["scheme"], case["level"], case["severity_number"]) for case in json.loads(VECTORS.read_text())["cases"]
    ]


@pytest.mark.skipif(not VECTORS.exists(), reason="needs the shared data folder beside the project (vectors_ingest)")
@pytest.mark.parametrize(("scheme", "level", "number"), _vectors())
def test_the_appendix_of_the_opentelemetry_log_model_is_followed(scheme: str, level: str | int, number: int) -> None:
    if scheme == "syslog":
        assert severity_of_number(int(level)) == SYSLOG_SEVERITIES[int(level)] == number
    elif scheme == "winevt" and level == "Critical":
        # The appendix puts this Critical into the ERROR range; by its name it is CRITICAL here.
        assert level_of_severity(severity_of_name("Critical") or 0) is level_of_severity(number) is Level.CRITICAL
    else:
        assert severity_of_name(str(level)) == number


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("WARN", Level.WARNING), ("warn", Level.WARNING), ("Warning", Level.WARNING), ("FATAL", Level.CRITICAL),
        ("ERR", Level.ERROR), ("crit", Level.CRITICAL), ("emerg", Level.CRITICAL), ("alert", Level.CRITICAL),
        ("panic", Level.CRITICAL), ("notice", Level.INFO), ("severe", Level.ERROR), ("fine", Level.DEBUG),
        (" info ", Level.INFO), ("0", Level.CRITICAL), ("3", Level.ERROR), ("7", Level.DEBUG), ("17", Level.ERROR),
        ("24", Level.CRITICAL), ("LogLevel.Critical", Level.CRITICAL),
    ],
)  # fmt: skip
def test_common_aliases_mean_the_levels_people_mean_by_them(name: str, level: Level) -> None:
    number = severity_of_name(name)
    assert number is not None
    assert level_of_severity(number) is level


@given(st.sampled_from(sorted(SEVERITY_BY_NAME)), st.randoms())
def test_a_name_means_the_same_in_any_case(name: str, chance: random.Random) -> None:
    mixed = "".join(chance.choice((letter.lower(), letter.upper())) for letter in name)
    assert severity_of_name(mixed) == SEVERITY_BY_NAME[name]


@given(st.text(max_size=20))
def test_any_text_is_a_severity_or_none(text: str) -> None:
    number = severity_of_name(text)
    assert number is None or 1 <= number <= 24


@given(st.integers())
def test_any_number_is_a_severity_or_none(number: int) -> None:
    severity = severity_of_number(number)
    assert severity is None or 1 <= severity <= 24


@pytest.mark.parametrize("name", ["", "LOUD", "99", "-1", "2.5", "١", "²", "criticals"])
def test_what_names_no_level_is_none(name: str) -> None:
    assert severity_of_name(name) is None


def test_levels_rise_with_the_severity_number() -> None:
    levels = [level_of_severity(number) for number in range(1, 25)]
    assert levels == sorted(levels)
    assert {level_of_severity(level) for level in Level} == set(Level)
