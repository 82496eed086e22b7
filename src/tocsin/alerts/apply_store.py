"""The one query of applying files: they take turns."""

from typing import Final

from sqlalchemy import update

from tocsin.storage.model import counters
from tocsin.storage.tx import Tx

APPLIED_FILES: Final = "applied_files"


def take_turn(tx: Tx) -> None:
    """Count a file; whoever applies another one waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == APPLIED_FILES).values(value=counters.c.value + 1))
