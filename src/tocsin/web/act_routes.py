"""`/act/{token}`: the page behind a link in a message. Looking at it changes nothing; its button acts.

Mail scanners and previews open links, so GET and HEAD only show. The token is the credential: whoever has the message
may act as the person it was sent to, once, until it expires. There is no cookie or other ambient credential that
another site could make a browser send; a form of another site is refused all the same. Nothing here is cached, or named
to the site that a runbook is on: the address itself is the secret. A link that was sent to many asks for a name.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from tocsin.kit.clock import iso
from tocsin.kit.errors import Conflict, Invalid, NotFound, TocsinError
from tocsin.notify import answering, picture_service
from tocsin.notify.answering import Standing, State
from tocsin.notify.channels import twilio
from tocsin.notify.channels.cutting import one_line
from tocsin.notify.links import MAX_TOKEN, Verb
from tocsin.notify.message import Kind
from tocsin.notify.picture import NO_OCCASION, Picture, values_of
from tocsin.notify.template_filters import duration, time
from tocsin.storage.tx import ReadTx
from tocsin.tickets.service import Resolution
from tocsin.tickets.store import Ticket
from tocsin.web.services import Services, services

router = APIRouter(include_in_schema=False)
WAY: Final = "link"
BY_PHONE: Final = "phone"
MAX_FORM: Final = 40_000
With = Annotated[Services, Depends(services)]
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1.125rem/1.5 system-ui, sans-serif; margin: 0; padding: 1.25rem; }
main { max-width: 38rem; margin: 0 auto; }
h1 { font-size: 1.5rem; }
dt { font-weight: 600; }
dd { margin: 0 0 .6rem; overflow-wrap: anywhere; }
button { font: inherit; font-weight: 600; min-height: 3rem; padding: .6rem 1.6rem; border: 0; border-radius: .4rem;
background: #1a4f8b; color: #fff; }
button:focus-visible, a:focus-visible { outline: .2rem solid #f5a623; outline-offset: .2rem; }
input, textarea { font: inherit; width: 100%; box-sizing: border-box; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_PAGES: Final = Environment(
    loader=PackageLoader("tocsin.web", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STATUS: Final = {State.UNKNOWN: 404, State.EXPIRED: 410, State.USED: 410}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page says."""

    heading: str
    detail: str = ""
    errors: tuple[str, ...] = ()
    button: str | None = None
    asks_for_name: bool = False
    asks_for_resolution: bool = False


@router.api_route("/act/{token}", methods=["GET", "HEAD"])
def show(token: str, with_: With) -> Response:
    """How a link stands, with a button where it may still be used."""
    standing = with_.database.read(lambda tx: answering.look(tx, token)) if _fits(token) else Standing(State.UNKNOWN)
    return _page(with_, standing, _said(standing))


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form, from this page and not from that of another site."""
    if request.headers.get("sec-fetch-site", "none").lower() not in {"none", "same-origin"}:
        return {"foreign": "1"}
    body = await request.body()
    if len(body) > MAX_FORM:
        return {"foreign": "1"}
    return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=10))


@router.post("/act/{token}")
def act(token: str, form: Annotated[dict[str, str], Depends(_form)], with_: With) -> Response:
    """Do what the link allows."""
    if "foreign" in form:
        return _page(
            with_, Standing(State.UNKNOWN), _Shown("This was not sent from its page", "Open the link again."), 403
        )
    if not _fits(token):
        return _page(with_, Standing(State.UNKNOWN), _said(Standing(State.UNKNOWN)))
    said = {name: form.get(f"resolution_{name}", "").strip().replace("\0", "") or None for name in ("code", "note")}
    return _acted(with_, token, one_line(form.get("person", ""), 100) or None, Resolution(said["code"], said["note"]))


@router.post("/act/{token}/phone")
def by_phone(token: str, form: Annotated[dict[str, str], Depends(_form)], with_: With) -> Response:
    """Somebody pressed a key while Twilio read out the page (its `Gather`, which sends `Digits`)."""
    said = "Nothing was changed. Goodbye."
    if form.get("Digits") == twilio.ACKNOWLEDGE_KEY and _fits(token):
        try:
            shown = _said(answering.act(with_.database, token, way=BY_PHONE))
            said = f"{shown.heading}. {shown.detail}"
        except (Invalid, Conflict) as error:
            said = f"That did not work. {error}"
    return Response(twilio.reply(said), 200, {"Cache-Control": "no-store"}, "application/xml")


def _acted(with_: Services, token: str, person: str | None, resolution: Resolution) -> Response:
    try:
        sent_to = with_.database.read(lambda tx: answering.look(tx, token)).link
        who = person if sent_to is None or sent_to.person is None else None  # nobody chooses another name than that
        standing = answering.act(with_.database, token, way=WAY, person=who, resolution=resolution)
        if standing.state is not State.READY:
            return _page(with_, standing, _said(standing))
        return _page(with_, standing, replace(_said(standing), errors=("Say who you are.",)), 422)
    except (Invalid, Conflict) as error:
        standing = with_.database.read(lambda tx: answering.look(tx, token))
        asks = isinstance(error, Invalid)
        said = replace(_said(standing), errors=_errors(error), asks_for_resolution=asks)
        return _page(with_, standing, said, 422 if asks else 409)


def _errors(error: TocsinError) -> tuple[str, ...]:
    found = tuple(one.detail for one in error.errors) if isinstance(error, Invalid) else ()
    return tuple(dict.fromkeys(found)) or (str(error),)


def _fits(token: str) -> bool:
    return len(token) <= MAX_TOKEN and token.isascii()


def _said(standing: Standing) -> _Shown:
    """What there is to say of a link in each state."""
    link, ticket = standing.link, standing.ticket
    if link is None or ticket is None:
        return _Shown("This link is not valid", "It is incomplete, or from another installation. Nothing was changed.")
    match standing.state:
        case State.READY:
            what = link.verb.value.capitalize()
            button = what if link.person is None else f"{what} as {link.person}"
            return _Shown(f"{what} ticket {ticket.id}?", button=button, asks_for_name=link.person is None)
        case State.DONE:
            done = f"{ticket.assignee} has it now" if link.verb is Verb.ACKNOWLEDGE else "It is resolved"
            return _Shown("Thank you", f"{done}; nobody else is called for it.")
        case State.USED:
            use = standing.use
            when = "" if use is None else f" by {use.used_by} at {time(iso(use.used_at), 'UTC', 'day')}"
            return _Shown(
                "This link was used", f"It was used{when}; each link works once. The ticket stands like this:"
            )
        case State.EXPIRED:
            return _Shown("This link has expired", f"It was about ticket {ticket.id}. Nothing was changed.")
    return _needless(link.verb, ticket)


def _needless(verb: Verb, ticket: Ticket) -> _Shown:
    if ticket.merged_into is not None:
        return _Shown(f"Ticket {ticket.id} was merged", f"It goes on as ticket {ticket.merged_into}.")
    if verb is Verb.OPEN:
        return _Shown(f"Ticket {ticket.id}")
    over = {"RESOLVED": "resolved", "CLOSED": "closed"}.get(ticket.status.value)
    if over is not None:
        return _Shown(f"Ticket {ticket.id} is {over} already", "There is nothing left to do.")
    return _Shown(f"Ticket {ticket.id} is taken already", f"{ticket.assignee or 'Somebody'} has it.")


def _page(with_: Services, standing: Standing, said: _Shown, status: int | None = None) -> Response:
    picture = None
    if standing.ticket is not None and standing.state is not State.EXPIRED:  # an old mail tells nothing new
        ticket_id = standing.ticket.id
        picture = with_.database.read(_picture(ticket_id))
    text = _PAGES.get_template("act.html").render(
        heading=said.heading,
        detail=said.detail,
        errors=said.errors,
        button=said.button,
        asks_for_name=said.asks_for_name,
        asks_for_resolution=said.asks_for_resolution,
        style=_STYLE,
        **_facts(picture),
    )
    return Response(text, status or _STATUS.get(standing.state, 200), _HEADERS, "text/html; charset=utf-8")


def _picture(ticket_id: int) -> Callable[[ReadTx], Picture | None]:
    def look(tx: ReadTx) -> Picture | None:
        try:
            return picture_service.take(tx, ticket_id)
        except NotFound:
            return None

    return look


def _facts(picture: Picture | None) -> dict[str, Any]:
    if picture is None:
        return {"ticket": None, "runbook_url": None}
    values = values_of(Kind.PAGE, picture, NO_OCCASION, now=picture.now)
    ticket, sla = values["ticket"], values["sla"]
    due = f"{sla['clock']} by {time(sla['due_at'], 'UTC', 'day')}" if sla["due_at"] else None
    since = f"{time(ticket['since'], 'UTC', 'day')}, {duration(ticket['age_s'])} ago"
    runbook = values["runbook_url"]
    safe = runbook if runbook and urlsplit(runbook).scheme in {"http", "https"} else None
    return {"ticket": {**ticket, "since": since, "sla": due}, "runbook_url": safe}
