"""A message out of what is said, what is known and what it is sent for. Pure."""

from tocsin.kit.priorities import Priority
from tocsin.notify.message import Kind, Message
from tocsin.notify.picture import Occasion, Picture, facts_of
from tocsin.notify.wording import Said


def compose(
    said: Said,
    kind: Kind,
    picture: Picture | None,
    occasion: Occasion,
    *,
    message_id: str,
    first_of_thread: bool = True,
    earlier: str | None = None,
) -> Message:
    """`earlier` is what the channel said of the last message of the thread (`Receipt.reference`)."""
    ticket = None if picture is None else picture.ticket
    about = {} if ticket is None else {
        "ticket_id": ticket["id"],
        "priority": Priority(ticket["priority"]).name,
        "status": str(ticket["status"]),
        "service": ticket.get("service"),
    }  # fmt: skip
    return Message(
        id=message_id,
        kind=kind,
        title=said.title,
        text=said.text,
        html=said.html,
        thread=message_id if ticket is None else f"ticket-{ticket['id']}",
        first_of_thread=first_of_thread,
        url=next((one.url for one in occasion.actions if one.name == "open"), None),
        facts=facts_of(picture, zone_name=occasion.zone),
        actions=tuple(occasion.actions),
        earlier=earlier,
        bundled=occasion.bundled,
        payload=said.payload,
        **about,
    )
