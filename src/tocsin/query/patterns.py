"""Text conditions as regular expressions of the part of the syntax that RE2, Rust's engine and PostgreSQL read alike.

Letters compare without case as classes (`[aA]`, see `letters`), because each engine's own flag would fold otherwise.
"""

import re
from dataclasses import dataclass
from typing import Final

from tocsin.query.errors import QueryError
from tocsin.query.letters import same_letters
from tocsin.query.tree import Equals, Leaf, Phrase, Regex, Wildcard, Word

NO_WORD: Final = r"[\x00-/:-@\[-^`{-\x7f]"
_NO_BLANK: Final = r"[^\t\n\v\f\r ]"
_ANY: Final = r"(?:.|\n)"
_META: Final = frozenset(r"\.^$*+?()[]{}|")
_CLASSES: Final = {
    "d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\v\f\r ",
    "D": r"\x00-/:-\x{10FFFF}", "W": r"\x00-/:-@\[-^`{-\x{10FFFF}", "S": r"\x00-\x08\x0e-\x1f!-\x{10FFFF}",
}  # fmt: skip
_ESCAPES: Final = frozenset("nrtfva\\/.^$*+?()[]{}|-\"'#&~ @!%,:;<=>_`")
_FLAGS: Final = re.compile(r"\(\?(?:[ims]+:|[ims]+\)|:|P?<[A-Za-z_]\w*>)")


@dataclass(frozen=True, slots=True)
class TextTest:
    """A search for `pattern`. `literal` is a text that every match holds, in some case."""

    pattern: str
    literal: str


def is_word_character(character: str) -> bool:
    """ASCII letters and digits, `_`, and everything beyond ASCII."""
    return character >= "\x80" or character.isalnum() or character == "_"


def text_test(leaf: Leaf) -> TextTest:
    """The test a value's text must pass for a leaf that is about text."""
    if isinstance(leaf, Regex):
        return TextTest(leaf.pattern, "")
    if isinstance(leaf, Wildcard):
        return TextTest(_wildcard(leaf.pattern, whole=leaf.whole), _longest_literal(leaf.pattern))
    text = leaf.text  # type: ignore[union-attr]
    if isinstance(leaf, Equals):
        return TextTest(f"^{caseless(text)}$", text)
    if isinstance(leaf, Word):
        return TextTest(_bounded(caseless(text), text[:1], text[-1:]), text)
    assert isinstance(leaf, Phrase)
    return TextTest(caseless(text), text)


def caseless(text: str) -> str:
    """The text as a pattern that ignores case."""
    return "".join(_letter(character) for character in text)


def _letter(character: str) -> str:
    same = same_letters(character)
    if len(same) > 1:
        return f"[{same}]"
    return f"\\{character}" if character in _META else character


def _bounded(pattern: str, first: str, last: str) -> str:
    before = f"(?:^|{NO_WORD})" if first and is_word_character(first) else ""
    after = f"(?:$|{NO_WORD})" if last and is_word_character(last) else ""
    return f"{before}{pattern}{after}"


def _wildcard(text: str, *, whole: bool) -> str:
    one = _ANY if whole else _NO_BLANK
    inner = re.sub(r"\*+", "*", text)
    if whole:
        return f"^{_with_wildcards(inner, one)}$"
    core = inner.strip("*")
    before, after = inner.startswith("*"), inner.endswith("*")
    first = "" if before or core[:1] in {"?", ""} else core[0]
    last = "" if after or core[-1:] in {"?", ""} else core[-1]
    return _bounded(_with_wildcards(core, one), first, last)


def _with_wildcards(text: str, one: str) -> str:
    return "".join(f"{one}*" if c == "*" else one if c == "?" else _letter(c) for c in text)


def _longest_literal(text: str) -> str:
    return max(re.split(r"[*?]+", text), key=len)


def for_polars(pattern: str) -> str:
    """The same pattern for Rust's engine, whose word boundary is one of Unicode unless told otherwise."""
    return pattern.replace(r"\b", r"(?-u:\b)")


def rewritten(pattern: str, *, column: int) -> str:
    """A user's regular expression so that every engine reads it alike. Raises QueryError for what they don't share."""
    out: list[str] = []
    place, in_class = 0, False
    while place < len(pattern):
        rest = pattern[place:]
        character = rest[0]
        if character == "\\":
            step, text = _escape(rest, in_class=in_class, column=column)
            out.append(text)
            place += step
            continue
        if in_class:
            if character == "[" or rest[:2] in {"&&", "--", "~~"}:
                raise QueryError(f"{rest[:2]!r} inside [...] isn't supported; write \\{character}", column=column)
            in_class = character != "]" or out[-1] in {"[", "[^"}
            if character == "]" and in_class:
                raise QueryError("a ] at the beginning of [...] must be written \\]", column=column)
        elif character == "[":
            in_class = True
            character = "[^" if rest[:2] == "[^" else "["
        elif rest[:2] == "(?" and not _FLAGS.match(rest):
            raise QueryError(f"{rest[:4]!r} isn't supported (no look-around, only the flags i, m, s)", column=column)
        out.append(character)
        place += len(character)
    return "".join(out)


def as_written(pattern: str) -> str:
    """A rewritten regular expression with `\\d` and its like as they were, for people."""
    for name, members in _CLASSES.items():
        pattern = pattern.replace(f"(?-i:[{members}])", f"\\{name}")
    return pattern


def _escape(rest: str, *, in_class: bool, column: int) -> tuple[int, str]:
    code = rest[1:2]
    if code in _CLASSES and code:
        # Under (?i) an engine adds what folds to a class's letters: to k the Kelvin sign, which is not ASCII.
        return 2, _CLASSES[code] if in_class else f"(?-i:[{_CLASSES[code]}])"
    if code == "/":
        return 2, "/"
    if code == "b" and not in_class:
        return 2, r"\b"
    if code in _ESCAPES and code:
        return 2, f"\\x{ord(code):02x}" if not code.isalnum() else f"\\{code}"
    hexadecimal = re.match(r"\\x(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})", rest)
    if hexadecimal:
        return len(hexadecimal[0]), hexadecimal[0]
    if code in {"A", "z"} and not in_class:
        return 2, f"\\{code}"
    raise QueryError(f"\\{code} isn't supported in a regular expression here", column=column)
