"""Channels over HTTP: list, show, keep, remove, try."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.notify import channel_service as channels
from tocsin.notify import reference_service as removing
from tocsin.notify.channels.kinds import kinds_of
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.delivery_store import State
from tocsin.storage.tx import Tx
from tocsin.web.channel_schemas import (
    ChannelDetailOut,
    ChannelIn,
    ChannelKindListOut,
    ChannelOut,
    ChannelPageOut,
    TestedOut,
    channel_detail,
    channel_fields,
    delivery_detail,
    kind_out,
)
from tocsin.web.preconditions import IN_USE, Force, IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, QueryIn
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["channels"])
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemOut, "description": "There are too many"}}


def _answer(tx: Tx, name: str, status: int = 200) -> Response:
    found = channels.watched(tx, name)
    headers = {"etag": f'"{found.row.version}"'}
    if status == 201:
        headers["location"] = f"/channels/{name}"
    body = channel_detail(found, CHANNELS, tx.now).model_dump_json()
    return Response(body, status, headers, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(channels.get(tx, name).version, seen)


@router.get("/channels", summary="List channels")
def list_channels(query: Annotated[QueryIn, Query()], with_: With) -> ChannelPageOut:
    """All channels by name, with how they are doing."""
    found, cursor = channels.find(with_.database, cursor=query.cursor, limit=query.limit)
    now = with_.clock.now()
    items = [ChannelOut(**channel_fields(row, state, CHANNELS, now)) for row, state in found]
    return ChannelPageOut(items=items, next=cursor)


@router.get("/channel-kinds", summary="What kinds of channels need")
def list_kinds() -> ChannelKindListOut:
    """Every kind of channels, with the settings it needs, takes, and never shows again."""
    return ChannelKindListOut(items=[kind_out(kind) for kind in kinds_of(CHANNELS)])


@router.get("/channels/{name}", response_model=ChannelDetailOut, summary="One channel", responses=_MISSING)
def get_channel(name: Name, with_: With) -> Response:
    """A channel with how it is doing: its breaker, what was said last, what waits for it."""
    found = with_.database.read(lambda tx: channels.watched(tx, name))
    body = channel_detail(found, CHANNELS, with_.clock.now()).model_dump_json()
    return Response(body, 200, {"etag": f'"{found.row.version}"'}, "application/json")


@router.put(
    "/channels/{name}",
    response_model=ChannelDetailOut,
    summary="Make or replace a channel",
    responses={201: {"model": ChannelDetailOut, "description": "It is new"}, **_MISSING, **_REFUSED, **_STALE},
)
def put_channel(name: Name, channel: ChannelIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a channel is: what is left out has its default. The same again makes no new version.

    Secrets are never shown. One that is sent as it is shown (`***`) stays what it is.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        seen_version = _agreed(tx, name, seen)
        _, is_new = channels.save(tx, channel.definition(name), CHANNELS, seen_version=seen_version)
        return _answer(tx, name, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/channels/{name}",
    response_model=ChannelDetailOut,
    summary="Remove a channel",
    responses={**_MISSING, **IN_USE, **_STALE},
)
def remove_channel(name: Name, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove a channel, and answer with what it was. What waits for it goes to a default channel, or else is given up,
    and can be replayed once there is one of that name again.

    One that a route, an escalation policy or another channel names is kept, unless by `force`: what is still sent
    there then goes to a default channel, and a step that calls it calls nobody there.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        answer = _answer(tx, name)
        removing.remove_channel(tx, name, seen_version=_agreed(tx, name, seen), force=force)
        return answer

    return at.write(work)


@router.post("/channels/{name}/test", response_model=TestedOut, summary="Try a channel", responses=_MISSING)
def try_channel(name: Name, at: AtDesk) -> Response:
    """Send a message that is marked as a test, right now and the way of all others, also when the channel is switched
    off or rests; answer with what came of it. Waits for the channel's `timeout_s` and 5 s."""
    database = at.services.database
    kept = at.write(
        lambda tx: Response(json.dumps({"delivery": channels.start_test(tx, name)}), 200, {}, "application/json")
    )
    # A repeat with the same key waits for the same message.
    delivery_id = int(json.loads(bytes(kept.body))["delivery"])
    timeout_s = database.read(lambda tx: channels.get(tx, name)).definition.timeout_s
    found, tries = channels.wait_for(database, delivery_id, for_s=timeout_s + channels.TEST_SLACK_S)
    detail = delivery_detail(found, tries, at.services.clock.now())
    out = TestedOut(delivered=found.state is State.DELIVERED, answer=found.answer, delivery=detail)
    return Response(out.model_dump_json(), 200, {}, "application/json")
