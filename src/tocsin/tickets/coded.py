"""Words of which few differ, as numbers: each word once, and which it is of each row. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

_FEW: Final = 20_000  # of fewer, it takes longer to hand them over


@dataclass(frozen=True, slots=True)
class Coded:
    """`codes` are places in `words`. A word is None where there is none."""

    words: tuple[str | None, ...]
    codes: Any

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Self:
        if len(values) < _FEW:
            places: dict[str | None, int] = {}
            codes = [places.setdefault(word, len(places)) for word in values]
            return cls(tuple(places), np.array(codes, dtype=np.uint32))
        series = pl.Series(values, dtype=pl.String)
        words = series.unique().drop_nulls()
        places_ = series.cast(pl.Enum(words)).to_physical().fill_null(len(words)).to_numpy()
        return cls((*words, None), places_.astype(np.uint32))

    @classmethod
    def of_one(cls, word: str, count: int) -> Self:
        return cls((word,), np.zeros(count, dtype=np.uint32))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The words of some rows, and of those that follow."""
        places: dict[str | None, int] = {}
        found = []
        for part in parts:
            table = np.array([places.setdefault(word, len(places)) for word in part.words], dtype=np.uint32)
            found.append(table[part.codes])
        return cls(tuple(places), np.concatenate(found) if found else np.empty(0, dtype=np.uint32))

    def small(self) -> Any:
        """The codes in as few bytes as hold them: to sort two takes no comparing."""
        return self.codes.astype(np.uint16) if len(self.words) < 1 << 16 else self.codes

    def where(self, mask: Any) -> "Coded":
        """Of the rows where the mask is true."""
        return Coded(self.words, self.codes[mask])

    def as_(self, rename: Callable[[str | None], str | None]) -> "Coded":
        """With each word replaced by another one; those that become the same are one."""
        return Coded.joined([Coded(tuple(rename(word) for word in self.words), self.codes)])

    def is_(self, word: str | None) -> Any:
        """A mask of the rows with this word."""
        if word not in self.words:
            return np.zeros(len(self.codes), dtype=bool)
        return self.codes == self.words.index(word)

    def values(self) -> list[str | None]:
        """The word of each row."""
        return [self.words[code] for code in self.codes]
