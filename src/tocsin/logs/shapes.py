"""Attributes as columns: records of one logger have JSON objects that differ in their values only.

A *shape* is such an object without its values: the text between them, and the path of each. `split` takes rows whose
shape is frequent apart into typed columns, `whole` puts them together again, to the byte. A row that would not come
back as it was (an odd number format, an escape, an array, a rare shape) keeps its JSON. So in every row either the
typed columns hold all attributes, or `attributes` does.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import msgspec
import polars as pl

PREFIX: Final = "attributes."
SHAPE: Final = "attributes_shape"
MAX_COLUMNS: Final = 100
MAX_SHAPES: Final = 32
_SAMPLE: Final = 256
_LEAST_SHARE: Final = 0.01
_MAX_PATH_CHARS: Final = 200
_INTEGER: Final = r"^-?[1-9][0-9]{0,17}$|^0$"
_SEPARATORS: Final = ((",", ":"), (", ", ": "))
_TYPES: Final[Mapping[str, type[pl.DataType]]] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
}
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Shape:
    """`pieces` are the literal text before, between and after the values; `paths` and `kinds` name those."""

    pieces: tuple[str, ...]
    paths: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def text(self) -> str:
        """How a row names its shape."""
        return json.dumps([self.pieces, self.paths], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class _Value:
    path: str
    kind: str


def columns_of(frame: pl.DataFrame) -> dict[str, str]:
    """Attribute path -> `string`, `integer`, `number` or `boolean`, of those that have a column of their own."""
    names = {dtype: name for name, dtype in _TYPES.items()}
    return {
        name.removeprefix(PREFIX): names[type(dtype)] for name, dtype in frame.schema.items() if name.startswith(PREFIX)
    }


def type_of(kind: str) -> pl.DataType:
    """The column type of a kind that `columns_of` names."""
    return _TYPES[kind]()


def split(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with frequent shapes taken apart. `attributes` must hold a JSON object in every row."""
    texts = frame.get_column("attributes")
    shapes = frequent_shapes(texts.gather_every(max(len(texts) // _SAMPLE, 1)).to_list())
    left = pl.DataFrame({"row": pl.int_range(len(texts), dtype=pl.UInt32, eager=True), "text": texts})
    parts: list[pl.DataFrame] = []
    for shape in shapes:
        if left.is_empty():
            break
        fitting = _take_apart(left, shape)
        if not fitting.is_empty():
            parts.append(fitting)
            taken = pl.zeros(len(texts), pl.Boolean, eager=True).scatter(fitting.get_column("row"), values=True)
            left = left.filter(~taken.gather(left.get_column("row")))
    rest = left.select("row", pl.lit(None, pl.String).alias(SHAPE), attributes="text")
    together = pl.concat([*parts, rest], how="diagonal")
    if len(parts) > (0 if len(rest) else 1):
        together = together.sort("row")
    return frame.drop("attributes").hstack(together.drop("row").get_columns())


def whole(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the JSON object of every row in `attributes` again, and without the columns that `split` made."""
    if SHAPE not in frame.columns:
        return frame
    made = [SHAPE, *(name for name in frame.columns if name.startswith(PREFIX))]
    found = frame.get_column(SHAPE).drop_nulls().unique().to_list()
    if not found:
        return frame.drop(made)
    texts = pl.col("attributes")
    for text in found:
        texts = pl.when(pl.col(SHAPE) == text).then(_put_together(text)).otherwise(texts)
    return frame.with_columns(attributes=texts).drop(made)


def frequent_shapes(texts: list[str]) -> list[Shape]:
    """Shapes that a share of these JSON objects have, most frequent first; a path has one kind in all of them."""
    counted = Counter(shape for text in texts if (shape := shape_of(text)) is not None)
    kinds: dict[str, str] = {}
    chosen: list[Shape] = []
    for shape, times in counted.most_common(MAX_SHAPES):
        mine = dict(zip(shape.paths, shape.kinds, strict=True))
        if times < len(texts) * _LEAST_SHARE or len(kinds | mine) > MAX_COLUMNS:
            continue
        if all(kinds.get(path, kind) == kind for path, kind in mine.items()):
            kinds |= mine
            chosen.append(shape)
    return chosen


def shape_of(text: str) -> Shape | None:
    """The shape of a JSON object, or None when it has something that does not go into columns."""
    for separators in _SEPARATORS:
        literal: list[str] = []
        values: list[_Value] = []
        try:
            rebuilt = "".join(_walk(text.encode(), "", separators, literal, values))
        except (msgspec.DecodeError, _Odd, RecursionError):
            return None
        paths = tuple(value.path for value in values)
        if rebuilt == text and len(set(paths)) == len(paths):
            return Shape(tuple(literal), paths, tuple(value.kind for value in values))
    return None


class _Odd(ValueError):
    """A value that does not go into a column."""


def _walk(
    text: bytes, prefix: str, separators: tuple[str, str], literal: list[str], values: list[_Value]
) -> Iterator[str]:
    """The object's text, in parts; what lies between two values is collected in `literal`."""
    between, after_name = separators
    outermost = not literal
    if outermost:
        literal.append("")

    def say(part: str) -> str:
        literal[-1] += part
        return part

    yield say("{")
    for place, (name, raw) in enumerate(_decode(text).items()):
        yield say((between if place else "") + json.dumps(name, ensure_ascii=False) + after_name)
        value = bytes(raw)
        path = f"{prefix}{name}"
        if value.startswith(b"{"):
            yield from _walk(value, path + ".", separators, literal, values)
        elif value == b"null":
            yield say("null")
        else:
            kind = _kind_of(value, path)
            quote = '"' if kind == "string" else ""
            say(quote)
            values.append(_Value(path, kind))
            literal.append(quote)
            yield value.decode()
    yield say("}")


def _kind_of(value: bytes, path: str) -> str:
    if not path.isprintable() or len(path) > _MAX_PATH_CHARS:
        raise _Odd
    if value.startswith(b'"') and b"\\" not in value:
        return "string"
    if value in {b"true", b"false"}:
        return "boolean"
    if value[:1] in b"-0123456789":
        return "number" if any(byte in value for byte in b".eE") else "integer"
    raise _Odd


def _take_apart(rows: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    """Of `row, text` those that have the shape, as `row`, the shape's name and a column a value."""
    head, *rest = shape.pieces
    text = pl.col("text")
    if not rest:
        fitting = rows.filter(text == head)
        return fitting.select("row", pl.lit(shape.text).alias(SHAPE))
    long_enough = text.str.len_bytes() >= len(head.encode()) + len(rest[-1].encode())
    fitting = rows.filter(text.str.starts_with(head) & text.str.ends_with(rest[-1]) & long_enough)
    parts = fitting.select("row", rest=text.str.strip_prefix(head).str.strip_suffix(rest[-1]))
    for place, piece in enumerate(rest[:-1]):
        cut = pl.col("rest").str.splitn(piece, 2).struct.rename_fields([f"v{place}", "rest"])
        parts = parts.select(pl.exclude("rest"), cut=cut).unnest("cut")
    parts = parts.rename({"rest": f"v{len(rest) - 1}"})
    fits = [_fits(f"v{place}", kind) for place, kind in enumerate(shape.kinds)]
    values = [
        _typed(f"v{place}", kind).alias(PREFIX + path)
        for place, (path, kind) in enumerate(zip(shape.paths, shape.kinds, strict=True))
    ]
    return parts.filter(reduce(lambda a, b: a & b, fits)).select("row", pl.lit(shape.text).alias(SHAPE), *values)


def _fits(column: str, kind: str) -> pl.Expr:
    """Whether the JSON text of a value is one of this kind that its column gives back as it is."""
    text = pl.col(column)
    if kind == "string":
        fits = ~text.str.contains(r'["\\]')
    elif kind == "integer":
        fits = text.str.contains(_INTEGER)
    elif kind == "number":
        fits = text.cast(pl.Float64, strict=False).cast(pl.String) == text
    else:
        fits = text.is_in(["true", "false"])
    return fits.fill_null(value=False)


def _typed(column: str, kind: str) -> pl.Expr:
    text = pl.col(column)
    return text == "true" if kind == "boolean" else text.cast(_TYPES[kind], strict=False)


def _put_together(shape_text: str) -> pl.Expr:
    pieces, paths = json.loads(shape_text)
    parts: list[Any] = [pl.lit(pieces[0])]
    for path, piece in zip(paths, pieces[1:], strict=True):
        parts += [pl.col(PREFIX + path).cast(pl.String), pl.lit(piece)]
    return pl.concat_str(parts)
