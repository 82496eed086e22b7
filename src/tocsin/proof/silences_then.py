"""The silences there were in some span, as a replay heeds them: also those that are over by now."""

from datetime import datetime
from typing import Final

from tocsin.alerts import silence_store
from tocsin.alerts.rules import Rule
from tocsin.kit.clock import to_us
from tocsin.proof.hushing import Hiding
from tocsin.query.errors import QueryError
from tocsin.query.tree import Node
from tocsin.storage.tx import ReadTx

MAX_SILENCES: Final = 100


def silences_then(tx: ReadTx, since: datetime, until: datetime) -> tuple[list[Hiding], int]:
    """Those that were active at some time in [since, until), by id, the newest `MAX_SILENCES` of them; and how many
    others there were."""
    rows = silence_store.overlapping(tx, since, until)
    broken = silence_store.broken_at(tx, [row.silence.id for row in rows]) if rows else {}
    found: list[Hiding] = []
    for row in rows:
        one = row.silence
        node = _node(one.matcher)
        spans = one.active_within(since, until, made_at=row.created_at, broken_at=broken.get(one.id, ()))
        if spans and node is not None:
            told = f"{one.owner}: {one.reason}"
            found.append(Hiding(one.name, node, [(to_us(span.start), to_us(span.end)) for span in spans], told))
    return found[-MAX_SILENCES:], max(len(found) - MAX_SILENCES, 0)


def _node(matcher: str) -> Node | None:
    """What it covers; nothing, when it was stored by another program and can't be read."""
    try:
        return Rule(name="silence", version=0, condition=matcher).node()
    except QueryError:
        return None
