"""Deliveries that were over long ago are forgotten, a few at a time."""

from datetime import timedelta
from typing import Final

from tocsin.kit.actors import SYSTEM
from tocsin.notify import delivery_store as store
from tocsin.storage.database import Database

KEPT: Final = timedelta(days=400)  # a year's cost of paging can be told
AT_ONCE: Final = 100  # in one turn of the write lock


def forget_old(database: Database) -> None:
    """One turn of the loop `forget_deliveries`."""
    before = database.clock.now() - KEPT
    while database.write(lambda tx: store.forget(tx, before, limit=AT_ONCE), actor=SYSTEM):
        pass
