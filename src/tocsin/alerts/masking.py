"""Many messages at once, made alike before the miner sees them: it looks at each text that is left only once."""

from typing import Final

import polars as pl

from tocsin.alerts.skeletons import HEAD_CHARS, head_of

# The miner's own breaks; Python counts \x1c-\x1f among blanks, Polars does not.
_BLANKS: Final = r"\s\x1c-\x1f"
_BREAKS: Final = rf"""{_BLANKS}=:,;()\[\]{{}}'"|<>"""
_ENDS_PATH: Final = rf"""{_BLANKS}"'|<>(){{}}\[\],;"""
_WITH_DIGIT: Final = rf"[^{_BREAKS}0-9]*[0-9][^{_BREAKS}]*"
# Letters that every Python we run on knows (Unicode 14): the miner's blanks and letters are Python's.
_LETTER: Final = r"[\p{L}&&\p{age:14.0}]"
_WORD: Final = rf"(?:^|[{_BREAKS}])[^{_BREAKS}/]*{_LETTER}"  # not within a path
# Where the miner sees more than a token that holds a digit: quotes, dots, URLs, paths that reach over a break.
_SUBTLE: Final = rf"""['\\]|\.\.|==|://|/[^{_ENDS_PATH}]*[=:]|/[^{_ENDS_PATH}]*\.(?:[{_ENDS_PATH}]|$)"""


def alike(messages: pl.Series) -> pl.Series:
    """A text for each message; the miner has the same group for both. Far fewer texts than messages are different."""
    frame = _heads(messages).to_frame("head")
    masked = pl.col("head").str.replace_all(_WITH_DIGIT, "0")
    digits = pl.col("head").str.replace_all("[0-9]+", "0")
    frame = frame.with_columns(subtle=pl.col("head").str.contains(_SUBTLE))
    if frame.get_column("subtle").any():
        simple = frame.lazy().filter(~pl.col("subtle")).select(masked).collect().get_column("head")
        subtle = frame.lazy().filter(pl.col("subtle")).select(digits).collect().get_column("head")
        places = frame.get_column("subtle")
        order = pl.concat([places.not_().arg_true(), places.arg_true()]).arg_sort()
        text = pl.concat([simple, subtle]).gather(order)
    else:
        text = frame.select(masked).get_column("head")
    wordless = ~text.str.contains(_WORD)
    if wordless.any():
        text = pl.select(pl.when(wordless).then(frame.select(digits).get_column("head")).otherwise(text)).to_series()
    return text.alias("text")


def _heads(messages: pl.Series) -> pl.Series:
    long = messages.str.contains("\n", literal=True) | (messages.str.len_bytes() > HEAD_CHARS)
    if not long.any():
        return messages
    rows = long.arg_true()
    heads = pl.Series([head_of(text) for text in messages.gather(rows)], dtype=pl.String)
    return messages.scatter(rows, heads)
