"""Mail over SMTP: with STARTTLS or TLS, a login or none; text and HTML; all mails of a ticket are one conversation.

RFC 5321 4.2.1 (4yz may be tried again, 5yz not), RFC 5322 3.6.4 (Message-ID, In-Reply-To, References), RFC 3834 5
(Auto-Submitted), RFC 3207 (STARTTLS).
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from email.utils import formataddr, formatdate
from functools import lru_cache
from typing import Any, Final

import aiosmtplib
from aiosmtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import without_secrets
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import one_line, with_links
from tocsin.notify.message import DeliveryFailed, Message, Receipt

WITHIN_S: Final = 30.0
_STEP_S: Final = 15.0
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_SUBJECT_CHARS: Final = 180
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")
_URGENT: Final = {"P1": "1 (Highest)", "P2": "2 (High)"}


def _pem(value: Any) -> str | None:
    begins = isinstance(value, str) and value.isascii() and "-----BEGIN CERTIFICATE-----" in value
    if not begins or len(value) > 65_536:
        return "expected certificates as PEM"
    try:
        ssl.create_default_context(cadata=value)
    except (ssl.SSLError, ValueError) as error:
        return f"holds no certificate that can be read ({error})"
    return None


_CHECKS: Final[dict[str, checks.Check]] = {
    "host": checks.host,
    "port": checks.whole(1, 65_535),
    "security": checks.one_of(*_PORTS),
    "username": checks.text,
    "password": checks.text,
    "from": checks.mail,
    "from_name": checks.text,
    "reply_to": checks.mail,
    "to": checks.mails,
    "ca": _pem,
}


class Email:
    """Settings: `host`, `port`, `security` (`starttls`, `tls`, `none`), `username`, `password`, `from`, `from_name`,
    `reply_to`, `to` (one address or several), `ca` (certificates to trust besides the usual ones, as PEM)."""

    name = "email"
    settings = tuple(_CHECKS)
    secrets = frozenset({"password"})
    where = frozenset({"host", "port", "security", "ca"})
    personal = True

    def __init__(self, *, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s

    def check(self, config: Config) -> Sequence[FieldError]:
        found = checks.wrong_with(config, _CHECKS, {"host", "from"})
        if ("username" in config) != ("password" in config):
            missing = "password" if "username" in config else "username"
            found.append(FieldError(f"/{missing}", "is required: a login has a user name and a password"))
        elif "username" in config and _security(config) == "none":
            found.append(FieldError("/security", "a password needs starttls or tls: it would be sent in the clear"))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        if not _receivers(config):
            raise DeliveryFailed("There is no address to send the mail to", permanent=True)
        mail, reference = _mail(config, message)
        address = await outside.address(config["host"], _port(config))
        try:
            async with asyncio.timeout(self._within_s):
                answer = await _deliver(config, mail, address)
        except (SMTPException, OSError, ValueError) as error:  # a time out is an OSError
            raise without_secrets(_failure(error), [config.get("password")]) from error
        return Receipt(one_line(answer), reference)


def _security(config: Config) -> str:
    return str(config.get("security") or "starttls")


def _port(config: Config) -> int:
    return int(config.get("port") or _PORTS[_security(config)])


def _receivers(config: Config) -> list[str]:
    to = config.get("to") or []
    return [to] if isinstance(to, str) else list(to)


def _mail(config: Config, message: Message) -> tuple[EmailMessage, str]:
    """The mail, and how the next one of its thread refers to it.

    Mail programs keep a conversation together by its references, some of them only under one subject: later mails of
    a thread have that of the first one.
    """
    domain = str(config["from"]).rpartition("@")[2]
    own_id = f"<{_NOT_IN_AN_ID.sub('-', message.id)}@{domain}>"
    root_id = f"<{_NOT_IN_AN_ID.sub('-', message.thread)}.tocsin@{domain}>"
    subject = one_line(message.title, _SUBJECT_CHARS)
    before, _, first_subject = (message.earlier or "").partition(" ")
    mail = EmailMessage(policy=CRLF)
    mail["From"] = formataddr((one_line(str(config.get("from_name") or "Tocsin"), 100), config["from"]))
    mail["To"] = ", ".join(_receivers(config))
    mail["Subject"] = f"Re: {first_subject}" if first_subject else subject
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = own_id
    mail["References"] = f"{root_id} {before}" if before else root_id
    mail["In-Reply-To"] = before or root_id
    if config.get("reply_to"):
        mail["Reply-To"] = config["reply_to"]
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"  # what Exchange heeds
    mail["X-Tocsin-Delivery"] = one_line(message.id)
    mail["X-Tocsin-Kind"] = message.kind.value
    if message.ticket_id is not None:
        mail["X-Tocsin-Ticket"] = str(message.ticket_id)
    if message.priority in _URGENT:
        mail["X-Priority"] = _URGENT[message.priority]
    # As base64: no line of a log is too long for SMTP, or looks like a header or an end.
    links = [(one.label, one.url) for one in message.actions]
    mail.set_content(with_links(message.text, links), cte="base64")
    if message.html:
        mail.add_alternative(message.html, subtype="html", cte="base64")
    return mail, f"{own_id} {first_subject or subject}"


@lru_cache(maxsize=16)
def _trust(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        context.load_verify_locations(cadata=ca)
    return context


async def _deliver(config: Config, mail: EmailMessage, address: str) -> str:
    """Connect to the address that was checked; its certificate must be that of the host that was named."""
    security = _security(config)
    client = aiosmtplib.SMTP(
        hostname=config["host"],
        sock=await _connected(address, _port(config)),
        username=config.get("username"),
        password=config.get("password"),
        use_tls=security == "tls",
        start_tls=security == "starttls",
        tls_context=None if security == "none" else _trust(config.get("ca")),
        local_hostname=str(config["from"]).rpartition("@")[2],
        timeout=_STEP_S,
    )
    async with client:
        refused, answer = await client.sendmail(config["from"], _receivers(config), mail.as_bytes())
    if refused:
        said = "; ".join(f"{who}: {code} {text}" for who, (code, text) in refused.items())
        return f"taken, but not for all: {said}"
    return answer


async def _connected(address: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    found.setblocking(False)
    try:
        async with asyncio.timeout(_STEP_S):
            await asyncio.get_running_loop().sock_connect(found, (address, port))
    except BaseException:
        found.close()
        raise
    return found


def _failure(error: Exception) -> DeliveryFailed:
    """What went wrong, in words, and whether it makes sense to try again."""
    certificate = _certificate_error(error)
    if certificate is not None:
        return DeliveryFailed(f"The mail server's certificate is not good: {certificate}", permanent=True)
    if isinstance(error, SMTPRecipientsRefused):
        one = error.recipients[0]
        permanent = all(500 <= refused.code < 600 for refused in error.recipients)
        return DeliveryFailed(f"The mail server refused {one.recipient}: {one.code} {one.message}", permanent=permanent)
    if isinstance(error, SMTPResponseException):
        what = " the user name or password" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else ""
        text = f"The mail server refused{what}: {error.code} {one_line(error.message)}"
        return DeliveryFailed(text, permanent=500 <= error.code < 600)
    if isinstance(error, TimeoutError):
        return DeliveryFailed("The mail server did not answer in time")
    if isinstance(error, OSError):
        return DeliveryFailed(f"No connection with the mail server: {one_line(str(error)) or type(error).__name__}")
    return DeliveryFailed(f"The mail can't be sent: {_unfit(one_line(str(error)))}", permanent=True)


def _unfit(text: str) -> str:
    """What a server does not offer, with what to do about it."""
    if "STARTTLS" in text:
        return "the server offers no STARTTLS; try security tls, or none in a network that you trust"
    if "AUTH" in text:
        return "the server takes no login; leave out username and password"
    return text


def _certificate_error(error: BaseException | None) -> str | None:
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None
