"""Whether a ticket has a tag, as a SQL condition."""

from sqlalchemy import ColumnElement, select

from tocsin.query.letters import fold
from tocsin.query.patterns import text_test
from tocsin.query.tree import Equals, Exists, Leaf
from tocsin.tickets.model import ticket_tags, tickets


def tag_condition(leaf: Leaf) -> ColumnElement[bool]:
    """Whether one of a ticket's tags meets a condition; true or false, never null. Tags are stored folded."""
    mine = select(ticket_tags.c.ticket_id)
    if isinstance(leaf, Exists):
        return tickets.c.id.in_(mine)
    if isinstance(leaf, Equals):
        return tickets.c.id.in_(mine.where(ticket_tags.c.tag == fold(leaf.text)))
    return tickets.c.id.in_(mine.where(ticket_tags.c.tag.regexp_match(text_test(leaf).pattern)))
