"""Templates of many messages at once: messages that differ only in digits have one template, which is made once.

`template_of` takes every digit for any other, but for the 0 of `0x`; so one message stands for all that look like it,
with each digit a 9. Where a digit is still there in the template (it stood where nothing is masked), each has its own.
"""

import re
from typing import Final

import polars as pl

from tocsin.alerts.grouping import template_of

MAX_KEPT: Final = 100_000
_DIGIT: Final = re.compile("[0-9]")
_ZERO, _NINE = b"09"


def alike(message: str) -> pl.Expr:
    """What stands for a message. Bytes are worked on in bulk, as no search for digits is half as fast."""
    text, byte = pl.col(message), pl.element()
    digits = pl.when(byte.is_between(_ZERO, _NINE)).then(pl.lit(_NINE, pl.UInt8)).otherwise(byte)
    same = text.cast(pl.Binary).cast(pl.List(pl.UInt8)).list.eval(digits).cast(pl.Binary).cast(pl.String)
    return (
        pl.when(text.str.contains("0x", literal=True) | text.str.contains("0X", literal=True))
        .then(text)
        .otherwise(same)
    )


class Templates:
    """Those that were made are kept, up to `MAX_KEPT` of them."""

    def __init__(self) -> None:
        self._kept: dict[str, str | None] = {}

    def of(self, messages: pl.Series, stand_ins: pl.Series) -> pl.Series:
        """The template of each message, where `stand_ins` are what stands for them."""
        if len(self._kept) > MAX_KEPT:
            self._kept.clear()
        kept = self._kept
        different = stand_ins.unique()
        for text in different:
            if text not in kept:
                found = template_of(text)
                kept[text] = None if _DIGIT.search(found) else found
        made = pl.Series([kept[text] for text in different], dtype=pl.String)
        templates = stand_ins.replace_strict(different, made, return_dtype=pl.String)
        if not templates.null_count():
            return templates
        own = {text: template_of(text) for text in messages.filter(templates.is_null()).unique()}
        each = messages.replace_strict(list(own), list(own.values()), default=None, return_dtype=pl.String)
        return templates.zip_with(templates.is_not_null(), each)
