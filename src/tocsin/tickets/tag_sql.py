"""Whether a ticket has a tag, as a SQL condition."""

from sqlalchemy import ColumnElement, exists, func, select

from tocsin.query.letters import fold
from tocsin.query.patterns import text_test
from tocsin.query.tree import Equals, Exists, Leaf
from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import ticket_tags, tickets
from tocsin.tickets.rarity_sql import MOST_ROWS


def tag_condition(tx: ReadTx, leaf: Leaf, *, most: int = MOST_ROWS) -> ColumnElement[bool]:
    """Whether one of a ticket's tags meets a condition; true or false, never null. Tags are stored folded.

    Tickets with a tag that few have are looked for; for a frequent one each ticket is asked, in the order of the list.
    """
    tag = ticket_tags.c.tag
    meets: ColumnElement[bool]
    if isinstance(leaf, Exists):
        meets = tag.is_not(None)
    elif isinstance(leaf, Equals):
        meets = tag == fold(leaf.text)
    else:
        meets = tag.regexp_match(text_test(leaf).pattern)
    if isinstance(leaf, Equals) and _have_few(tx, meets, most):
        return tickets.c.id.in_(select(ticket_tags.c.ticket_id).where(meets))
    return exists().where(ticket_tags.c.ticket_id == tickets.c.id, meets)


def _have_few(tx: ReadTx, meets: ColumnElement[bool], most: int) -> bool:
    some = select(ticket_tags.c.ticket_id).where(meets).limit(most + 1).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one()) <= most
