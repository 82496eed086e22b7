"""A view: a query for tickets and an order, kept under a name."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.query.errors import QueryError
from tocsin.query.parse import parse
from tocsin.query.tree import Node
from tocsin.tickets.fields import TICKETS

ASCENDING: Final = frozenset({"priority"})  # P1 first; the newest first of all other orders


@dataclass(frozen=True, slots=True)
class View:
    """What somebody says a view is. One that isn't shared is its owner's alone."""

    name: str
    q: str
    sort: str = "opened"
    descending: bool = True
    shared: bool = False


def definition_of(view: View) -> dict[str, Any]:
    """All of it but its name."""
    return {"q": view.q, "sort": view.sort, "descending": view.descending, "shared": view.shared}


def condition_of(q: str, now: datetime, pointer: str = "/q") -> Node:
    """What a view's query means at an instant. Raises Invalid, with the place where it can't be read."""
    try:
        return parse(q, TICKETS, now=now)
    except QueryError as error:
        detail = error.errors[0].detail
        raise Invalid(detail, errors=(FieldError(pointer, detail),)) from error
