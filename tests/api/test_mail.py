"""Mail to a real mail server: how it is encrypted and who may log in, what it looks like, what is refused and why."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from outward import CERTIFICATES, MAIL_HOST, Loopback, Mailbox, a_message, mail_server, refused, sent
from tocsin.notify.channels.email import Email
from tocsin.notify.message import Kind

AUTHORITY = (CERTIFICATES / "authority.pem").read_text()
MAIL = Email()


def settings(port: int, **fields: Any) -> dict[str, Any]:
    known = {"host": MAIL_HOST, "port": port, "from": "tocsin@example.org", "to": "ana@example.org", "ca": AUTHORITY}
    return {**known, **fields}


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def plain(mailbox: Mailbox) -> Iterator[dict[str, Any]]:
    """Settings for a mail server that encrypts nothing."""
    with mail_server(mailbox, certificate=None) as port:
        yield settings(port, security="none")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_is_encrypted_and_logged_in_and_the_name_of_the_server_is_proved(
    mailbox: Mailbox, security: str
) -> None:
    with mail_server(mailbox, implicit=security == "tls", password="correct horse") as port:
        outside = Loopback()
        config = settings(port, security=security, username="ana", password="correct horse")
        assert sent(MAIL, config, a_message(), outside).answer == "kept"
        assert outside.asked_addresses == [(MAIL_HOST, port)]
        wrong = refused(MAIL, {**config, "password": "wrong-password"}, a_message())
        assert wrong.permanent
        assert "refused the user name or password" in wrong.detail
        assert "wrong-password" not in wrong.detail
        other = refused(MAIL, {**config, "host": "smtp.example.com"}, a_message())
        assert "certificate is not good: Hostname mismatch" in other.detail
        unknown = refused(MAIL, {name: value for name, value in config.items() if name != "ca"}, a_message())
        assert "certificate is not good: unable to get local issuer" in unknown.detail
    assert len(mailbox.mails) == 1


def test_an_expired_certificate_is_said_to_be_one(mailbox: Mailbox) -> None:
    with mail_server(mailbox, certificate="expired") as port:
        failed = refused(MAIL, settings(port), a_message())
    assert (failed.permanent, "certificate has expired" in failed.detail) == (True, True)
    assert mailbox.mails == []


def test_nothing_is_sent_in_the_clear_to_a_server_without_starttls(mailbox: Mailbox, plain: dict[str, Any]) -> None:
    failed = refused(MAIL, {**plain, "security": "starttls"}, a_message())
    assert (failed.permanent, "offers no STARTTLS" in failed.detail, mailbox.mails) == (True, True, [])


def test_a_mail_has_text_and_html_and_says_what_it_is_about(mailbox: Mailbox, plain: dict[str, Any]) -> None:
    sent(
        MAIL,
        {**plain, "to": ["ana@example.org", "rui@example.org"]},
        a_message(text="Zürich: naïve\n.\n", html="<p>ü</p>"),
    )
    [mail] = mailbox.mails
    assert mailbox.receivers == [["ana@example.org", "rui@example.org"]]
    assert (mail["Subject"], mail["From"]) == ("P2 payments: database connection lost", "Tocsin <tocsin@example.org>")
    assert (mail["X-Tocsin-Ticket"], mail["X-Tocsin-Kind"], mail["Auto-Submitted"]) == ("7", "page", "auto-generated")
    plain_part, html_part = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain_part is not None
    assert html_part is not None
    text = plain_part.get_content()
    assert text.splitlines()[:2] == ["Zürich: naïve", "."]
    assert "Acknowledge: https://tocsin.example.org/act/A1" in text
    assert html_part.get_content().strip() == "<p>ü</p>"


def test_all_mails_of_a_ticket_are_one_conversation_and_a_repeat_is_the_same_mail(
    mailbox: Mailbox, plain: dict[str, Any]
) -> None:
    first = sent(MAIL, plain, a_message())
    sent(MAIL, plain, a_message())
    later = a_message(id="delivery-42", kind=Kind.RESOLVED, title="Resolved by ana", earlier=first.reference)
    second = sent(MAIL, plain, later)
    sent(MAIL, plain, a_message(id="delivery-43", title="Closed", earlier=second.reference))
    one, repeated, two, three = mailbox.mails
    assert one["Message-ID"] == repeated["Message-ID"] == "<delivery-41@example.org>"
    assert {mail["References"].split()[0] for mail in mailbox.mails} == {"<ticket-7.tocsin@example.org>"}
    assert (two["In-Reply-To"], three["In-Reply-To"]) == (one["Message-ID"], two["Message-ID"])
    assert two["Subject"] == three["Subject"] == f"Re: {one['Subject']}"


def test_a_line_of_a_log_makes_no_header_and_no_command(mailbox: Mailbox, plain: dict[str, Any]) -> None:
    title = "lost\r\nBcc: eve@example.com\nX-Evil: 1\x00\u202e"
    message = a_message(
        title=title, text="a\r\n.\r\nMAIL FROM:<eve@example.com>\r\n", id="7\r\nX-Evil: 2", thread="t\r\nX: 3"
    )
    sent(MAIL, {**plain, "from_name": "Tocsin"}, message)
    [mail] = mailbox.mails
    assert (mail["Bcc"], mail["X-Evil"], mail["X"]) == (None, None, None)
    assert mail["Subject"] == "lost Bcc: eve@example.com X-Evil: 1"
    assert b"\nX-Evil" not in mailbox.raw[0]


@pytest.mark.parametrize(
    ("verdict", "to_receiver", "permanent", "words"),
    [
        ("451 try later", "250 OK", False, "451 try later"),
        ("554 no", "250 OK", True, "554 no"),
        ("250 kept", "550 no such user", True, "ana@example.org: 550 no such user"),
        ("250 kept", "452 full", False, "452 full"),
    ],
)
def test_a_refusal_says_whether_trying_again_makes_sense(
    mailbox: Mailbox, plain: dict[str, Any], verdict: str, to_receiver: str, permanent: bool, words: str
) -> None:
    mailbox.verdict, mailbox.to_receiver = verdict, to_receiver
    failed = refused(MAIL, plain, a_message())
    assert (failed.permanent, words in failed.detail) == (permanent, True), failed.detail


def test_nobody_there_is_worth_another_try(plain: dict[str, Any]) -> None:
    failed = refused(MAIL, {**plain, "port": 9}, a_message())
    assert (failed.permanent, failed.detail.startswith("No connection with the mail server")) == (False, True)


def test_an_address_that_may_not_be_asked_is_not(plain: dict[str, Any]) -> None:
    failed = refused(MAIL, {**plain, "host": "169.254.169.254"}, a_message())
    assert failed.permanent


def test_a_server_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = settings(silent.getsockname()[1], security="none")
        failed = refused(Email(within_s=0.05), config, a_message())
    assert (failed.permanent, failed.detail) == (False, "The mail server did not answer in time")
