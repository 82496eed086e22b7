"""Why a condition is not true: its parts are written so that they can be read, and read back."""

import pytest

from tocsin.alerts.rules import CONDITIONS
from tocsin.kit.clock import EPOCH
from tocsin.proof.reasons import written
from tocsin.query.parse import parse


@pytest.mark.parametrize(
    "query",
    [
        "level:CRITICAL",
        "level:>=ERROR",
        "level:>ERROR",
        "level:<WARNING",
        "level:<=INFO",
        "severity_number:[9 TO 17}",
        "@ms:>500",
        "@ms:<=2.5",
        "service:payments",
        "service:pay*",
        'message:"timed out"',
        "message:/after \\d+ ms/",
        "refused",
        "refus*",
        "_exists_:@host",
        "NOT service:a",
        "(service:a OR service:b) level:ERROR",
        "NOT (service:a level:ERROR)",
        "*",
    ],
)
def test_what_is_written_means_the_same_when_it_is_read_again(query: str) -> None:
    node = parse(query, CONDITIONS, now=EPOCH)
    assert parse(written(node), CONDITIONS, now=EPOCH) == node
    assert written(node) == query
