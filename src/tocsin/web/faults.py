"""What is wrong with a request, as pydantic found it, in the words of somebody who sends one.

A place where several things are allowed is checked against each of them: what is said of one place is one fault, and
its pointer leads to something that stands in the body, not to a class of ours.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from tocsin.kit.errors import FieldError

_MISSING: Final = frozenset({"missing", "missing_argument"})
_EXPECTED: Final = "expected "
# A value of another type than is expected: of several that are, each says so.
_TYPES: Final = {
    "string_type": "expected a string",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "model_attributes_type": "expected a JSON object",
    "model_type": "expected a JSON object",
    "dict_type": "expected a JSON object",
}
_PHRASES: Final = {
    "extra_forbidden": "does not exist here; see /docs for what there is",
    "missing": "is required",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "less_than": "expected less than {lt}",
    "string_too_long": "expected at most {max_length} characters",
    "string_pattern_mismatch": "expected a text that matches {pattern}",
}
_COUNTED: Final = {"too_long": ("at most", "max_length"), "too_short": ("at least", "min_length")}
_OTHERS: Final = re.compile("^Input should be (?:a valid )?")
_MEMBER: Final = re.compile(r"<\w+\.\w+: ('[^']*')>")


def faults(items: Iterable[Mapping[str, Any]], body: object) -> list[FieldError]:
    """Faults of a request with that body, one for each place. The pointer of what is wrong with a query parameter or a
    header is its name."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        where, *path = item["loc"]
        if item["type"] == "json_invalid":
            pointer = ""
        elif where == "body":
            pointer = _pointer(path, body, is_missing=item["type"] in _MISSING)
        else:
            pointer = str(path[0]) if path else str(where)
        found.setdefault(pointer, []).append(item)
    return _told(found)


def faults_within(error: ValidationError, value: object) -> list[FieldError]:
    """What is wrong with a part of a body that is checked by itself; the pointers begin there."""
    return faults(({**item, "loc": ("body", *item["loc"])} for item in error.errors()), value)


def _pointer(path: Sequence[Any], body: object, *, is_missing: bool) -> str:
    """A JSON pointer (RFC 6901) of those parts of a path that lead to something in the body."""
    pointer, here = "", body
    for place, part in enumerate(path):
        if (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        ):
            here = here[part]
        elif not (is_missing and place == len(path) - 1):
            continue  # which of several models it was checked against
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer


def _told(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[FieldError]:
    """A fault for each place. That one is of another type is left out where more is known: of it, or within it."""
    told = []
    for pointer, items in found.items():
        specific = [item for item in items if item["type"] not in _TYPES]
        if not specific and any(other.startswith(f"{pointer}/") for other in found):
            continue
        details = dict.fromkeys(_detail(item) for item in specific or items)
        told.append(FieldError(pointer, _either(list(details))))
    return told


def _either(details: Sequence[str]) -> str:
    first, *others = details
    return " or ".join([first, *(other.removeprefix(_EXPECTED) for other in others)])


def _detail(item: Mapping[str, Any]) -> str:
    kind, text, facts = item["type"], str(item["msg"]), item.get("ctx", {})
    if kind == "json_invalid":
        return f"not valid JSON at byte {item['loc'][-1]}: {facts.get('error', text)}"
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _COUNTED:
        words, bound = _COUNTED[kind]
        return f"expected {words} {facts[bound]}"
    if kind == "string_too_short":
        return (
            "must not be empty" if facts["min_length"] == 1 else f"expected at least {facts['min_length']} characters"
        )
    said = _PHRASES.get(kind)
    if said is None:
        return _OTHERS.sub(_EXPECTED, text.removeprefix("Value error, "))
    return _MEMBER.sub(r"\1", said.format(**facts))
