"""The words of what keeps an alert from people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.suppression import FLAP, INHIBITION, SILENCE, STORM, alike, by, has_no_ticket, parts


@given(what=st.sampled_from([SILENCE, STORM, INHIBITION]), number=st.integers(min_value=1, max_value=2**53))
def test_what_is_put_together_comes_apart_again(what: str, number: int) -> None:
    assert parts(by(what, number)) == (what, number)
    assert by(what, number).startswith(alike(what).removesuffix("%"))


def test_flapping_is_not_numbered_and_nothing_has_no_kind() -> None:
    assert (parts(FLAP), parts(None)) == (("flap", None), ("", None))


@pytest.mark.parametrize(
    ("suppressed_by", "expected"),
    [("silence:3", True), ("flap", False), ("storm:12", False), ("inhibition:7", False), (None, False)],
)
def test_only_a_silence_keeps_an_alert_from_having_a_ticket(suppressed_by: str | None, expected: bool) -> None:
    assert has_no_ticket(suppressed_by) is expected
