"""If-Match (RFC 9110 13.1.1): a change that was decided on one version of a thing is not made to another; and `force`,
without which what others name is not removed."""

import re
from typing import Annotated, Any, Final

from fastapi import Header, Query

from tocsin.kit.errors import FieldError, Invalid, PreconditionFailed
from tocsin.web.schemas import ProblemOut

IfMatch = Annotated[
    str | None,
    Header(description="The ETag the change was decided on, or several; another version now is answered 412."),
]
Force = Annotated[bool, Query(description="Remove it also while others name it; they go on without it.")]
IN_USE: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "Others name it (`used_by`): change them first, or say `force`"}
}
# RFC 9110 8.8.3: what stands between the quotes is opaque; a bare number is taken for the tag as well.
_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"|(\d{1,15})')


def seen_tags(if_match: str | None) -> frozenset[str] | None:
    """The tags of which one must match, None for any. Weak ones never match. Raises Invalid."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags: set[str] = set()
    seen, place, apart = 0, 0, True  # `apart`: a comma stands before the next tag
    while place < len(if_match):
        if if_match[place] in " \t,":
            apart = apart or if_match[place] == ","
            place += 1
            continue
        found = _TAG.match(if_match, place) if apart else None
        if found is None:
            seen = 0
            break
        if not found[1]:
            tags.add(found[3] or found[2])
        seen, place, apart = seen + 1, found.end(), False
    if not seen:
        detail = 'expected an ETag, such as "3"'
        raise Invalid(f"If-Match: {detail}", errors=(FieldError("If-Match", detail),))
    return frozenset(tags)


def agreed(version: int, seen: frozenset[str] | None) -> int | None:
    """The version a change is decided on: the present one. Raises PreconditionFailed when none of the tags is its."""
    if seen is None:
        return None
    if str(version) not in seen:
        raise PreconditionFailed(version=version, wanted=", ".join(sorted(seen)) or "a weak tag, which never matches")
    return version
