"""Deliveries over HTTP: find, show, have them sent again."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.kit.errors import FieldError, Invalid
from tocsin.notify import delivery_service as deliveries
from tocsin.notify.delivery_service import DeliveryQuery
from tocsin.notify.delivery_store import Wish
from tocsin.notify.message import Kind
from tocsin.storage.tx import Tx
from tocsin.web.channel_schemas import (
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPageOut,
    DeliveryQueryIn,
    ReplayedOut,
    ReplayIn,
    delivery_detail,
    delivery_fields,
)
from tocsin.web.schemas import ProblemOut, before
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["deliveries"])
DeliveryId = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemOut, "description": "It is not over yet"}}


@router.get("/deliveries", summary="Find deliveries")
def find_deliveries(query: Annotated[DeliveryQueryIn, Query()], with_: With) -> DeliveryPageOut:
    """Messages that match all filters, the newest first. `state=dead` are those that were given up."""
    now = with_.clock.now()
    given = query.reckoned(now)
    states = () if query.state is None else (query.state,)
    wish = Wish(query.ticket, query.channel, query.person, query.kind, states, given["since"])
    found, cursor = deliveries.find(with_.database, DeliveryQuery(wish, query.limit, query.cursor))
    return DeliveryPageOut(items=[DeliveryOut(**delivery_fields(one, now)) for one in found], next=cursor)


@router.get("/deliveries/{delivery_id}", summary="One delivery", responses=_MISSING)
def get_delivery(delivery_id: DeliveryId, with_: With) -> DeliveryDetailOut:
    """A message with every try: when, over which way, what was answered, how long it took."""
    found, tries = with_.database.read(lambda tx: deliveries.show(tx, delivery_id))
    return delivery_detail(found, tries, with_.clock.now())


@router.post(
    "/deliveries/{delivery_id}/replay",
    response_model=DeliveryDetailOut,
    summary="Send one again",
    responses={**_MISSING, **_REFUSED},
)
def replay(delivery_id: DeliveryId, at: AtDesk) -> Response:
    """Send a message again that was given up, or that its receiver lost: with the same id, as it was asked for."""

    def work(tx: Tx) -> Response:
        deliveries.replay(tx, delivery_id)
        found, tries = deliveries.show(tx, delivery_id)
        return Response(delivery_detail(found, tries, tx.now).model_dump_json(), 200, {}, "application/json")

    return at.write(work)


@router.post("/deliveries/replay", response_model=ReplayedOut, summary="Send again what was given up")
def replay_dead(which: ReplayIn, at: AtDesk) -> Response:
    """Send again what is `dead` and matches all that is given, up to 500 messages at once, the oldest first."""
    if which.kind is not None and which.kind not in set(Kind):
        detail = f"expected one of {', '.join(Kind)}"
        raise Invalid(f"kind: {detail}", errors=(FieldError("/kind", detail),))
    kind = None if which.kind is None else Kind(which.kind)

    def work(tx: Tx) -> Response:
        since = which.since
        moment = before(tx.now, since) if isinstance(since, timedelta) else since
        wish = Wish(which.ticket, which.channel, which.person, kind, (), moment)
        n, more = deliveries.replay_dead(tx, wish)
        return Response(ReplayedOut(replayed=n, more=more).model_dump_json(), 200, {}, "application/json")

    return at.write(work)
