"""What `--set NAME=VALUE` of a channel means."""

from typing import Any

import pytest

from tocsin.cli.channels import setting_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1025", 1025), ("-1", -1), ("0", 0), ("2.5", 2.5), ("true", True), ("false", False), ("null", None),
        ('"1025"', "1025"), ('"true"', "true"), ('"a', '"a'), ('"a"b"', '"a"b"'), ("", ""), ("http://x", "http://x"),
        ("007", "007"), ("+351912345678", "+351912345678"), ("1e9", "1e9"), ("NaN", "NaN"), ("True", "True"),
        ("1 ", "1 "), ("9" * 5000, "9" * 5000), ("{}", "{}"), ("[1]", "[1]"), ("\u0661", "\u0661"),
    ],
)  # fmt: skip
def test_a_number_is_one_and_a_text_in_quotes_is_a_text(text: str, value: Any) -> None:
    found = setting_value(text)
    assert (found, type(found)) == (value, type(value))
