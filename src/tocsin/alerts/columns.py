"""Several variables that change together: templates of one length side by side, and where they differ."""

from collections.abc import Callable
from typing import Final

import msgspec

from tocsin.alerts.skeletons import VARIABLE, Tokens, is_mark, is_word

MAX_ROWS: Final = 256
MAX_BUCKETS: Final = 10_000
_MIN_ROWS: Final = 12
_GROWTH: Final = 1.4
_FEWEST: Final = 5
_ENOUGH: Final = 5.0
_DOMINANT: Final = 0.4

Weight = Callable[[str], float]
Bucket = tuple[int, str, bool]


class Table(msgspec.Struct):
    """Rows of one length that share their first or last token, and the count at which they are looked at next."""

    rows: list[Tokens] = []
    next_look: int = _MIN_ROWS


class Columns(msgspec.Struct):
    """All tables. A row stands in two of them."""

    tables: dict[Bucket, Table] = {}

    def add(self, row: Tokens) -> list[Table]:
        """The tables that have grown enough to be looked at."""
        grown: list[Table] = []
        for bucket in ((len(row), row[0], True), (len(row), row[-1], False)):
            table = self.tables.get(bucket)
            if table is None:
                if len(self.tables) >= MAX_BUCKETS:
                    continue
                table = self.tables[bucket] = Table()
            if len(table.rows) < MAX_ROWS:
                table.rows.append(row)
                if len(table.rows) >= table.next_look:
                    grown.append(table)
        return grown

    def keep(self, table: Table, rows: list[Tokens]) -> bool:
        """Of a table that has grown, keep these rows; whether they are enough to look for families now."""
        table.rows = rows
        table.next_look = max(_MIN_ROWS, int(len(rows) * _GROWTH) + 1)
        return len(rows) >= _MIN_ROWS

    def prune(self, live: Callable[[Tokens], bool]) -> None:
        """Forget rows that are no templates any more."""
        for bucket, table in list(self.tables.items()):
            table.rows = [row for row in table.rows if live(row)]
            if not table.rows:
                del self.tables[bucket]


def families(rows: list[Tokens], weight: Weight) -> list[tuple[tuple[int, ...], list[Tokens]]]:
    """Rows that are one template, with the columns that vary in it."""
    found: list[tuple[tuple[int, ...], list[Tokens]]] = []
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        if len(part) < _FEWEST:
            continue
        varying = _varying(part)
        split = _by_constants(part, varying, weight) or _by_dominant(part, varying)
        if split:
            waiting += split
            continue
        constant = sum(is_word(token) for at, token in enumerate(part[0]) if at not in varying)
        if varying and constant >= max(2, len(varying)):
            found.append((tuple(varying), part))
    return found


def _varying(rows: list[Tokens]) -> dict[int, dict[str, int]]:
    """How often each token stands in each column that has more than one."""
    varying: dict[int, dict[str, int]] = {}
    for at, column in enumerate(zip(*rows, strict=True)):
        counts: dict[str, int] = {}
        for token in column:
            counts[token] = counts.get(token, 0) + 1
        if len(counts) > 1:
            varying[at] = counts
    return varying


def _by_constants(rows: list[Tokens], varying: dict[int, dict[str, int]], weight: Weight) -> list[list[Tokens]] | None:
    """Parts by the column that tells kinds apart best: punctuation, or few different words."""
    best: tuple[bool, int, int] | None = None
    for at, counts in varying.items():
        marks = any(map(is_mark, counts)) or rows[0][at + 1 : at + 2] == ("=",)  # a key is no variable
        if marks or sum(_ENOUGH if token == VARIABLE else weight(token) for token in counts) < _ENOUGH:
            rank = (not marks, len(counts), at)
            best = rank if best is None or rank < best else best
    if best is None:
        return None
    parts: dict[str, list[Tokens]] = {}
    for row in rows:
        parts.setdefault(row[best[2]], []).append(row)
    return list(parts.values())


def _by_dominant(rows: list[Tokens], varying: dict[int, dict[str, int]]) -> list[list[Tokens]] | None:
    """A word that fills much of a column is a constant of some kind."""
    if len(varying) < 2:
        return None
    for at, counts in varying.items():
        for token, count in counts.items():
            if is_word(token) and count >= 3 and count >= _DOMINANT * len(rows):
                return [[row for row in rows if row[at] == token], [row for row in rows if row[at] != token]]
    return None
