"""Which refusals put a person's address out of use, and which are of the channel."""

import pytest

from tocsin.notify.channels import slack, twilio
from tocsin.notify.message import DeliveryFailed
from tocsin.notify.refused_addresses import refuses_address

MAIL = "The mail server refused ana@example.org: "


@pytest.mark.parametrize(
    ("kind", "failure", "expected"),
    [
        ("sms", twilio._failure(400, 21211, "Invalid 'To'"), True),
        ("voice", twilio._failure(400, 21610, "Unsubscribed"), True),
        ("sms", twilio._failure(401, 20003, "Authenticate"), False),
        ("sms", twilio._failure(503, 21211, "Later"), False),
        ("slack", slack.api_failure({"ok": False, "error": "is_archived"}), True),
        ("slack", slack.api_failure({"ok": False, "error": "token_revoked"}), False),
        ("email", DeliveryFailed(MAIL + "550 5.1.1 no such user", permanent=True), True),
        ("email", DeliveryFailed(MAIL + "550 5.7.1 not from you", permanent=True), False),
        ("webhook", DeliveryFailed("410 Gone", gone=True), True),
        ("webhook", DeliveryFailed("401 Unauthorized", permanent=True), False),
    ],
)
def test_only_a_refusal_of_the_address_itself_puts_it_out_of_use(
    kind: str, failure: DeliveryFailed, expected: bool
) -> None:
    assert refuses_address(kind, failure) is expected
