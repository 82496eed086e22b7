"""Which fields a kind of thing has, for the filter language."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

Ranks = tuple[int, int]  # the lowest and the highest stored value of a name


class Kind(Enum):
    """How a field's values are compared: tokens, as a whole, as numbers, as times, yes or no, by rank."""

    TEXT = auto()
    KEYWORD = auto()
    NUMBER = auto()
    INSTANT = auto()
    BOOLEAN = auto()
    ORDERED = auto()


@dataclass(frozen=True)
class Field:
    """`column` is where it is stored, by default under its name. `parse_instant` reads an INSTANT as microseconds since
    1970 (raises ValueError), `name_of` the name of an ORDERED value as it is in `ranks` (None: there is none, or
    ValueError). A KEYWORD with `values` has no others, and they are stored as they stand there."""

    name: str
    kind: Kind
    column: str = ""
    ranks: Mapping[str, Ranks] = field(default_factory=dict)
    parse_instant: Callable[[str], int] | None = None
    name_of: Callable[[str], str | None] | None = None
    values: tuple[str, ...] = ()

    @property
    def stored_as(self) -> str:
        return self.column or self.name


@dataclass(frozen=True)
class Schema:
    """`anywhere` are the fields a bare word looks in; with `attributes`, all attribute values as well. Without
    `regexes` a regular expression is refused: a SQL database has no engine for them that runs in linear time."""

    fields: tuple[Field, ...]
    anywhere: tuple[str, ...]
    attributes: bool = True
    regexes: bool = True

    def field(self, name: str) -> Field | None:
        """The field of that name."""
        return next((one for one in self.fields if one.name == name), None)

    @property
    def first_text(self) -> str:
        """Where a bare regular expression looks."""
        return next(one.name for one in self.fields if one.kind is Kind.TEXT)
