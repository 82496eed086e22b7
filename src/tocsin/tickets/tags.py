"""What a tag is: short, in one case, without blanks and commas."""

import re
from collections.abc import Collection
from typing import Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.query.letters import fold

MAX_TAGS: Final = 50
MAX_CHARS: Final = 50
_TAG: Final = re.compile(r'[^\s,"\x00-\x1f\x7f]+')


def tags_of(given: Collection[str], pointer: str = "/tags") -> tuple[str, ...]:
    """The tags as they are kept: folded, each once, in order. Raises Invalid, with all that is wrong."""
    found = {place: fold(text.strip()) for place, text in enumerate(given)}
    detail = f'expected 1 to {MAX_CHARS} characters without blanks, commas and `"`'
    errors = [
        FieldError(f"{pointer}/{place}", detail)
        for place, tag in found.items()
        if len(tag) > MAX_CHARS or _TAG.fullmatch(tag) is None
    ]
    tags = tuple(sorted(set(found.values())))
    if len(tags) > MAX_TAGS:
        errors.append(FieldError(pointer, f"expected at most {MAX_TAGS} tags"))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))
    return tags
