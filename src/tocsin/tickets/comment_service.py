"""Comments on tickets: anybody adds, only the author edits or deletes. A final ticket can still be commented on."""

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from tocsin.kit.events import TicketCommentDeleted, TicketCommented, TicketCommentEdited
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import comment_store as store
from tocsin.tickets import service as tickets
from tocsin.tickets.comment_store import Comment

_CURSOR = "comments"


def get(tx: ReadTx, ticket_id: int, comment_id: int) -> Comment:
    """One comment of a ticket. Raises NotFound."""
    found = store.get(tx, ticket_id, comment_id)
    if found is None:
        raise NotFound(what=f"comment of ticket {ticket_id} with the id", id=comment_id)
    return found


def add(tx: Tx, ticket_id: int, text: str) -> Comment:
    """Comment on a ticket. Raises NotFound."""
    tickets.get(tx, ticket_id)
    comment_id = store.create(tx, ticket_id, text)
    tx.emit(TicketCommented(ticket_id, comment_id))
    return get(tx, ticket_id, comment_id)


def edit(tx: Tx, ticket_id: int, comment_id: int, text: str, *, seen_version: int | None = None) -> Comment:
    """Replace the text of one's own comment. Raises Forbidden for another's, Conflict for one that was deleted."""
    comment = _own(tx, ticket_id, comment_id, seen_version)
    if comment.text == text:
        return comment
    return _replace(tx, comment, TicketCommentEdited(ticket_id, comment_id), text=text)


def delete(tx: Tx, ticket_id: int, comment_id: int, *, seen_version: int | None = None) -> Comment:
    """Take one's own comment back: its text is gone, its place stays. Raises as `edit` does."""
    comment = _own(tx, ticket_id, comment_id, seen_version)
    return _replace(tx, comment, TicketCommentDeleted(ticket_id, comment_id), text="")


def _own(tx: Tx, ticket_id: int, comment_id: int, seen_version: int | None) -> Comment:
    comment = get(tx, ticket_id, comment_id)
    if comment.author != str(tx.actor):
        raise Forbidden(detail=f"Comment {comment_id} is {comment.author}'s: only they may change it.")
    if comment.deleted_at is not None:
        raise Conflict(detail=f"comment {comment_id} was deleted")
    if seen_version is not None and comment.version != seen_version:
        raise PreconditionFailed(version=comment.version, wanted=seen_version)
    return comment


def _replace(tx: Tx, comment: Comment, told: TicketCommentEdited | TicketCommentDeleted, *, text: str) -> Comment:
    if not store.replace(tx, comment, text=text, deleted=isinstance(told, TicketCommentDeleted)):
        raise Conflict(detail=f"comment {comment.id} was changed at the same moment; read it again")
    tx.emit(told)
    return get(tx, comment.ticket_id, comment.id)


def find(database: Database, ticket_id: int, *, cursor: str | None, limit: int) -> tuple[list[Comment], str | None]:
    """A page of a ticket's comments, oldest first, and the cursor of the next. Raises NotFound."""
    after_id = 0 if cursor is None else int(decode_cursor(cursor, _CURSOR, int)[0])

    def look(tx: ReadTx) -> list[Comment]:
        tickets.get(tx, ticket_id)
        return store.page(tx, ticket_id, after_id=after_id, limit=limit + 1)

    found = database.read(look)
    items = found[:limit]
    return items, encode_cursor(_CURSOR, items[-1].id) if len(found) > limit else None
