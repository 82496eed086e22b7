"""What a query means: a tree of conditions that knows nothing of where records are kept."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Anywhere:
    """In any of the schema's `anywhere` fields, or any attribute value."""


@dataclass(frozen=True, slots=True)
class Named:
    """In the field of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """In the attribute values at that path."""

    path: str


Target = Anywhere | Named | Attribute


@dataclass(frozen=True, slots=True)
class Everything:
    """True of every record."""


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


@dataclass(frozen=True, slots=True)
class Word:
    """The text, with no word character beside it on either side."""

    target: Target
    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """The text, anywhere in the value."""

    target: Target
    text: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Parts with `*` (any characters) and `?` (one) between them; over the `whole` value, or inside it within a run
    of non-blank characters."""

    target: Target
    pattern: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression in the part of the syntax that all our engines share."""

    target: Target
    pattern: str


@dataclass(frozen=True, slots=True)
class Equals:
    """The whole value; `number` is what the text reads as, if it is one."""

    target: Target
    text: str
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers, microseconds or ranks from `low` to `high`; None is no bound. The ends count unless they are open."""

    target: Target
    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """A yes-or-no field."""

    target: Named
    value: bool


@dataclass(frozen=True, slots=True)
class Exists:
    target: Target


Leaf = Word | Phrase | Wildcard | Regex | Equals | Between | Truth | Exists
Node = Everything | And | Or | Not | Leaf
