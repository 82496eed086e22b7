"""YAML with places: what a file says as JSON values, and in which line and column each of them stands.

Only the parser's events are used: no tag makes an object. What is `yes`, a time or `010` is a text, as it stands; true,
false, null and decimal numbers are what they are in JSON. Keys that stand twice are refused; aliases are bounded by how
large the file would be with all of them written out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import yaml

from tocsin.cli.exits import WrongUsage

MAX_BYTES: Final = 10 << 20
MAX_DEPTH: Final = 50
_PLAIN: Final = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    form: value for value, forms in ((True, ("true", "True", "TRUE")), (False, ("false", "False", "FALSE")))
    for form in forms
}  # fmt: skip
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
# Exponents have a sign: without one, other writers of YAML leave texts like these bare.
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})\.[0-9]{0,30}([eE][-+][0-9]{1,3})?")
_LINES: Final = re.compile(r"\n.*\S\n?\Z", re.DOTALL)  # one that ends with blank lines would end the document as well
_STR: Final = "tag:yaml.org,2002:str"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class _Value:
    """A value, how large it is with all aliases written out, and where the parts within it stand."""

    value: Any
    size: int
    places: Mapping[str, Place] = field(default_factory=dict)


def read_yaml(content: bytes, file: str) -> tuple[Any, dict[str, Place]]:
    """What a file says, and by JSON pointer where that stands. Raises WrongUsage, with the place."""
    if len(content) > MAX_BYTES:
        raise WrongUsage(detail=f"{file} has {len(content)} bytes; expected at most {MAX_BYTES}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongUsage(detail=f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    try:
        found = _Reader(yaml.parse(text, Loader=_LOADER), file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = file if mark is None else str(Place(file, mark.line + 1, mark.column + 1))
        what = ", ".join(part for part in (error.problem, error.context) if part)
        raise WrongUsage(detail=f"{place}: not YAML: {what}") from error
    except yaml.YAMLError as error:
        raise WrongUsage(detail=f"{file}: not YAML: {str(error).splitlines()[0]}") from error
    return found.value, dict(found.places)


def place_of(places: Mapping[str, Place], pointer: str) -> Place | None:
    """Where a pointer's value stands, or the nearest that it would be part of."""
    while pointer not in places and pointer:
        pointer = pointer.rpartition("/")[0]
    return places.get(pointer)


def escaped(key: str) -> str:
    """A key as part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


class _Reader:
    """Makes values of events. Recursion is as deep as the file's nesting, which is bounded."""

    def __init__(self, events: Iterator[Any], file: str) -> None:
        self._events = events
        self._file = file
        self._anchors: dict[str, _Value] = {}

    def document(self) -> _Value:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise WrongUsage(detail=f"{self._file} says nothing")
        found = self._value(self._next(), 0)
        self._next()
        if not isinstance(extra := self._next(), yaml.StreamEndEvent):
            self._refuse(extra, "a second document begins here; expected one in a file, or give several files")
        return found

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, depth: int) -> _Value:
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._refuse(event, f"there is no complete anchor &{event.anchor} before it")
            known = self._anchors[event.anchor]
            return _Value(known.value, known.size)  # its parts are told to stand where the alias does
        if isinstance(event, yaml.MappingStartEvent):
            found = self._mapping(event, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._sequence(event, depth)
        else:
            found = self._scalar(event)
        if found.size > MAX_BYTES:
            self._refuse(event, f"with its aliases written out it has more than {MAX_BYTES} bytes")
        if event.anchor is not None:
            self._anchors[event.anchor] = found
        return found

    def _scalar(self, event: Any) -> _Value:
        if event.tag not in {None, "!", _STR}:
            self._refuse(event, f"the tag {event.tag} means nothing here")
        plain = event.tag is None and event.implicit[0]
        return _Value(_meant(event.value) if plain else event.value, len(event.value) + 1)

    def _sequence(self, start: Any, depth: int) -> _Value:
        self._check_tag(start, "tag:yaml.org,2002:seq")
        values: list[Any] = []
        size, places = 1, {"": self._place(start)}
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            one = self._value(event, depth + 1)
            here = f"/{len(values)}"
            places |= {here + pointer: place for pointer, place in one.places.items()} | {here: self._place(event)}
            values.append(one.value)
            size = self._grown(event, size + one.size)
        return _Value(values, size, places)

    def _mapping(self, start: Any, depth: int) -> _Value:
        self._check_tag(start, "tag:yaml.org,2002:map")
        said: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        size, places = 1, {"": self._place(start)}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            if key in said:
                self._refuse(event, f"{key[:60]!r} stands there twice")
            one = self._value(self._next(), depth + 1)
            size = self._grown(event, size + one.size + len(key))
            if key == "<<" and event.implicit[0]:
                merged = self._merged(event, one.value) | merged
                continue
            here = f"/{escaped(key)}"
            places |= {here + pointer: place for pointer, place in one.places.items()} | {here: self._place(event)}
            said[key] = one.value
        return _Value(merged | said, size, places)

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "expected a name before the colon")
        return str(event.value)

    def _merged(self, event: Any, value: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                self._refuse(event, "<< expected names with values, such as *defaults")
            found = one | found  # of several, the first counts
        return found

    def _grown(self, event: Any, size: int) -> int:
        if size > MAX_BYTES:
            self._refuse(event, f"with its aliases written out the file has more than {MAX_BYTES} bytes")
        return size

    def _check_tag(self, event: Any, usual: str) -> None:
        if event.tag not in {None, "!", usual}:
            self._refuse(event, f"the tag {event.tag} means nothing here")

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refuse(self, event: Any, detail: str) -> NoReturn:
        raise WrongUsage(detail=f"{self._place(event)}: {detail}")


def _meant(text: str) -> Any:
    """What a text without quotes is."""
    if text in _PLAIN:
        return _PLAIN[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as such."""

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar(_STR, data, style="|" if _LINES.search(data) else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def write_yaml(sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Sections of entries as YAML, with a blank line between entries; nothing is wrapped or abbreviated."""
    parts = []
    for section, entries in sections.items():
        if not entries:
            parts.append(f"{section}: []\n")
            continue
        told = [
            yaml.dump([dict(entry)], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
            for entry in entries
        ]
        parts.append(f"{section}:\n" + "\n".join(told))
    return "\n".join(parts)
