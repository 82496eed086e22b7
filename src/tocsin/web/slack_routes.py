"""`POST /slack/actions`: somebody pressed a button in Slack."""

from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Header, Request, Response

from tocsin.kit.errors import Forbidden, TocsinError, Unauthenticated
from tocsin.notify import answering, picture_service
from tocsin.notify.answering import Standing, State
from tocsin.notify.channels import slack
from tocsin.notify.channels.asking import ask, taken
from tocsin.notify.channels.channel import Outside
from tocsin.notify.composing import compose
from tocsin.notify.links import Verb
from tocsin.notify.message import DeliveryFailed, Kind
from tocsin.notify.picture import Occasion, values_of
from tocsin.notify.slack_answers import Pressed, pressed, sent_by_slack
from tocsin.web.services import Services, services

router = APIRouter(tags=["notifications"])
WAY: Final = "slack"
With = Annotated[Services, Depends(services)]
_KINDS: Final = {Verb.ACKNOWLEDGE: Kind.ACKNOWLEDGED, Verb.RESOLVE: Kind.RESOLVED}

log = structlog.get_logger("tocsin.web")


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/slack/actions",
    summary="A button in Slack",
    openapi_extra={
        "requestBody": {
            "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
            "required": True,
        }
    },
)
def slack_action(
    body: Annotated[bytes, Depends(_body)],
    with_: With,
    later: BackgroundTasks,
    stamp: Annotated[str | None, Header(alias="X-Slack-Request-Timestamp")] = None,
    signature: Annotated[str | None, Header(alias="X-Slack-Signature")] = None,
) -> Response:
    """Slack's interactivity request, signed with `TOCSIN_SLACK_SIGNING_SECRET`. It acts as the person who pressed."""
    secret = with_.answering.slack_secret
    if secret is None:
        raise Forbidden(detail="No signing secret is set: TOCSIN_SLACK_SIGNING_SECRET.")
    if not sent_by_slack(secret, stamp=stamp, signature=signature, body=body, now=with_.clock.now()):
        raise Unauthenticated(detail="The request is not signed by Slack, or is older than five minutes.")
    payload = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).get("payload", [""])[0]
    press = pressed(payload)
    if press is not None:
        answer = _answer(with_, press)
        if answer is not None and with_.answering.outside is not None and press.response_url:
            later.add_task(_tell, with_.answering.outside, press.response_url, answer)
    return Response(status_code=200, background=later)


def _answer(with_: Services, press: Pressed) -> dict[str, Any] | None:
    """Act, and what is said in the chat then: the message as it is now, or a word to whoever pressed."""
    person = _person(with_, press)
    try:
        standing = answering.act(with_.database, press.token, way=WAY, person=person)
    except TocsinError as error:
        base = with_.answering.public_url
        return _word(str(error) + (f" Do it here: {base}/act/{press.token}" if base else ""))
    if standing.ticket is None or standing.link is None:
        return _word("This button is not valid any more.")
    if standing.state is State.EXPIRED:
        return _word(f"This button has expired. Ticket {standing.ticket.id} is {standing.ticket.status}.")
    if standing.state is not State.DONE and standing.link.verb is Verb.RESOLVE:
        return _word(f"Ticket {standing.ticket.id} is {standing.ticket.status} already.")
    return {"replace_original": True, **_message(with_, standing, person)}


def _person(with_: Services, press: Pressed) -> str:
    known = with_.answering.person_of
    found = None if known is None else with_.database.read(lambda tx: known(tx, WAY, press.user_id))
    return found or press.user_name


def _word(text: str) -> dict[str, Any]:
    return {"response_type": "ephemeral", "replace_original": False, "text": slack.escaped(text)}


def _message(with_: Services, standing: Standing, person: str) -> dict[str, Any]:
    """The message as it should look now, without the buttons that were used up."""
    assert standing.ticket is not None
    assert standing.link is not None
    ticket_id = standing.ticket.id
    picture = with_.database.read(lambda tx: picture_service.take(tx, ticket_id))
    kind = _KINDS.get(standing.link.verb, Kind.UPDATED)
    occasion = Occasion(by=person, way=WAY)
    said = with_.wording.say(None, None, kind, values_of(kind, picture, occasion, now=picture.now))
    message = compose(said, kind, picture, occasion, message_id=f"answer-{ticket_id}", first_of_thread=False)
    return slack.body({}, message)


async def _tell(outside: Outside, url: str, answer: dict[str, Any]) -> None:
    """After the answer has left: Slack waits three seconds for it, and the ticket has moved whatever comes of this."""
    try:
        taken(await ask(outside, "POST", url, hidden=[url], json=answer), hidden=[url])
    except DeliveryFailed as failed:
        log.warning("slack_message_not_replaced", reason=failed.detail)
