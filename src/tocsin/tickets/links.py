"""What one ticket can be to another, and what that makes the other to the first."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from tocsin.kit.errors import Conflict, FieldError, Invalid


class Link(StrEnum):
    """What a ticket is to another one; each kind has its inverse, which the other one shows."""

    DUPLICATE_OF = "duplicate_of"
    CAUSED_BY = "caused_by"
    RECURRENCE_OF = "recurrence_of"
    RELATED = "related"
    DUPLICATED_BY = "duplicated_by"
    CAUSES = "causes"
    RECURRED_AS = "recurred_as"


SAID: Final = (Link.DUPLICATE_OF, Link.CAUSED_BY, Link.RECURRENCE_OF, Link.RELATED)
_PAIRS: Final = {
    Link.DUPLICATE_OF: Link.DUPLICATED_BY,
    Link.CAUSED_BY: Link.CAUSES,
    Link.RECURRENCE_OF: Link.RECURRED_AS,
    Link.RELATED: Link.RELATED,
}
INVERSE: Final = {**_PAIRS, **{inverse: kind for kind, inverse in _PAIRS.items()}}


def check_link(ticket_id: int, kind: Link, other_id: int, present: Collection[tuple[Link, int]]) -> None:
    """Raises Invalid for a link with itself, Conflict for one that is there, in this direction or the other one.

    `present` are the links of the ticket.
    """
    if ticket_id == other_id:
        detail = "a ticket can't be linked with itself"
        raise Invalid(f"ticket_id: {detail}", errors=(FieldError("/ticket_id", detail),))
    for there in (kind, INVERSE[kind]):
        if (there, other_id) in present:
            raise Conflict(detail=f"ticket {ticket_id} is linked already: {there.value} ticket {other_id}")
