"""The use case of making blocks of closed tickets, beside everything else and a little at a time."""

from typing import Final

from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import from_us
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import block_store, report_store
from tocsin.tickets.block_store import BlockRow
from tocsin.tickets.blocks import block_of, gaps, pack_numbers, pack_words
from tocsin.tickets.report_store import NUMBERS_KEPT, WORDS_KEPT

ENOUGH: Final = 0.9  # of a block's tickets are closed, or too many are still to come
LOOKED_AT: Final = 100  # blocks in one run of the loop


class BlockMaker:
    """Makes the blocks that are missing, where most tickets are closed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = 0

    def run(self) -> None:
        """One turn of the loop `block_tickets`."""
        self.make()

    def make(self) -> int:
        """Make some blocks; returns how many."""
        missing = self._database.read(_missing)
        turn = [block for block in missing if block >= self._next][:LOOKED_AT]
        self._next = turn[-1] + 1 if len(turn) == LOOKED_AT else 0
        wanted = [block for block in turn if self._database.read(lambda tx, block=block: _ready(tx, block))]  # type: ignore[misc]
        return sum(self._database.write(lambda tx, block=block: _make(tx, block), actor=SYSTEM) for block in wanted)  # type: ignore[misc]


def _missing(tx: ReadTx) -> list[int]:
    """The blocks that are not there; the last, where new tickets come, is left alone."""
    last_id = block_store.last_id(tx)
    stretches = gaps([one.block for one in block_store.all_of(tx)], last_id)
    return [block for first, after in stretches for block in range(block_of(first), block_of(after))
            if block < block_of(last_id)]  # fmt: skip


def _ready(tx: ReadTx, block: int) -> bool:
    there, closed, unsettled = block_store.counts(tx, block)
    return closed > 0 and closed >= ENOUGH * there and not unsettled


def _make(tx: Tx, block: int) -> bool:
    if not block_store.alone(tx):
        return False  # somebody is closing tickets; another time
    if block_store.is_there(tx, block) or not _ready(tx, block):
        return False
    columns = report_store.closed_of(tx, block)
    opened = columns["opened_at"]
    row = BlockRow(block, from_us(int(opened.min())), from_us(int(opened.max())))
    packed = {name: pack_numbers(columns[name]) for name in NUMBERS_KEPT}
    packed |= {name: pack_words(columns[name]) for name in WORDS_KEPT}
    block_store.put(tx, row, packed)
    return True
