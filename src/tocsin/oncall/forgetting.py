"""Runs of escalation policies that ended long ago are forgotten, a few at a time."""

from datetime import timedelta
from typing import Final

from tocsin.kit.actors import SYSTEM
from tocsin.oncall import escalation_store as store
from tocsin.storage.database import Database

KEPT: Final = timedelta(days=400)  # as long as their deliveries
AT_ONCE: Final = 100  # in one turn of the write lock


def forget_old(database: Database) -> None:
    """Forget runs with their steps, found outside of the write lock."""
    before = database.clock.now() - KEPT
    while ids := database.read(lambda tx: store.ended_before(tx, before, limit=AT_ONCE)):
        database.write(lambda tx, ids=ids: store.forget(tx, ids), actor=SYSTEM)  # type: ignore[misc]
