"""Case: which letters count as the same, in the same way for every engine.

A-Z are the same as a-z. Letters beyond ASCII are the same when Unicode gives them one and the same lower-case letter;
what it lowers to several characters, or by its neighbours, is left as it is.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

_LAST_WITH_CASE: Final = 0x1FFFF


def fold(text: str) -> str:
    """The text with each letter as its lower-case one; as long as it was. Texts that count as the same fold alike."""
    return text.lower() if text.isascii() else text.translate(_lower_letters())


def same_letters(character: str) -> str:
    """All characters that count as the same as this one, itself among them."""
    if character.isascii():
        return "".join(sorted({character.lower(), character.upper()}))
    return _families().get(fold(character), character)


@cache
def _lower_letters() -> Mapping[int, str]:
    alphabet = ((letter, chr(letter).lower()) for letter in range(_LAST_WITH_CASE))
    return {letter: lower for letter, lower in alphabet if len(lower) == 1 and ord(lower) != letter}


@cache
def _families() -> Mapping[str, str]:
    families: dict[str, str] = {}
    for letter, lower in _lower_letters().items():
        if letter > 0x7F:
            families[lower] = families.get(lower, "" if lower.isascii() else lower) + chr(letter)
    return families
