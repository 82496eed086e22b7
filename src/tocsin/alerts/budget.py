"""How much time a rule may take for the records of a chunk before it is taken for broken. Pure.

Measured with conditions that look at everything: 18 us for a record of 150 bytes, 280 us for one of 3 kB in 60
attributes, 380 us for one of 245 kB. That is at most a third of what is allowed, and `BASE_NS` comes on top.
"""

from collections.abc import Sequence
from typing import Final

from tocsin.logs.record import Columns

BASE_NS: Final = 200_000_000
PER_RECORD_NS: Final = 100_000
PER_BYTE_NS: Final = 300


def overdrawn(took_ns: int, columns: Columns, rows: Sequence[int]) -> str | None:
    """What to say of a rule that took so long for these rows; None when that was within its budget."""
    allowed = BASE_NS + len(rows) * PER_RECORD_NS
    if took_ns <= allowed:
        return None
    allowed += PER_BYTE_NS * sum(len(columns.messages[row]) + len(columns.attributes[row]) for row in rows)
    if took_ns <= allowed:
        return None
    return f"took {took_ns / 1e9:.3g} s for {len(rows):,} records; its budget for those is {allowed / 1e9:.3g} s"
