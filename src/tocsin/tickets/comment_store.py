"""Every query about comments."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import text_store
from tocsin.tickets.model import ticket_comments as comments


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said of a ticket, in Markdown. One that was deleted has no text any more."""

    id: int
    ticket_id: int
    text: str
    author: str
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    version: int


def create(tx: Tx, ticket_id: int, text: str) -> int:
    row = {"ticket_id": ticket_id, "text": text, "author": str(tx.actor), "created_at": tx.now, "version": 1}
    comment_id = int(tx.execute(insert(comments).values(**row).returning(comments.c.id)).scalar_one())
    text_store.add_comment(tx, ticket_id, comment_id, text)
    return comment_id


def get(tx: ReadTx, ticket_id: int, comment_id: int) -> Comment | None:
    mine = (comments.c.id == comment_id) & (comments.c.ticket_id == ticket_id)
    found = tx.execute(select(comments).where(mine)).one_or_none()
    return None if found is None else Comment(**found._mapping)


def page(tx: ReadTx, ticket_id: int, *, after_id: int, limit: int) -> list[Comment]:
    """The comments of a ticket, oldest first."""
    mine = (comments.c.ticket_id == ticket_id) & (comments.c.id > after_id)
    statement = select(comments).where(mine).order_by(comments.c.id).limit(limit)
    return [Comment(**row._mapping) for row in tx.execute(statement)]


def replace(tx: Tx, comment: Comment, *, text: str, deleted: bool) -> bool:
    """Change a comment if it is still as it was seen; False when somebody else was faster."""
    unchanged = (comments.c.id == comment.id) & (comments.c.version == comment.version)
    when = {"deleted_at": tx.now} if deleted else {"edited_at": tx.now}
    values = {"text": text, "version": comment.version + 1, **when}
    if tx.execute(update(comments).where(unchanged).values(**values)).rowcount != 1:
        return False
    text_store.change_comment(tx, comment.ticket_id, comment.id, comment.text, text)
    return True
