"""What makes two messages the same kind: variable parts masked, the rest hashed to a fingerprint."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

MASK: Final = "<*>"
MAX_TEMPLATE_CHARS: Final = 500
MAX_TITLE_CHARS: Final = 200
_HEAD_CHARS: Final = 2_000
_CACHED: Final = 16_384

# Each alternative starts at the edge of a word or is bounded, so that no text makes a search slow.
_VARIABLE: Final = re.compile(
    r"""
      (?<!\\)"(?:[^"\\\n]|\\.){0,200}"                                     # quoted parts
    | (?<![\w\\])'(?:[^'\\\n]|\\.){0,200}'(?!\w)
    | (?<![^\s=:,;(\[{<|"'])[a-z][a-z0-9+.-]{1,15}://[^\s"'<>|)\]}]+     # URLs
    | (?<![^\s=:,;(\[{<|"'])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+            # mail addresses
    | (?<![^\s=:,;(\[{<|"'])(?:/[^\s"'<>|:,;)\]}]+)+                     # paths
    | (?<![^\W_])(?:[0-9a-f]{1,4}:){2,7}[0-9a-f]{0,4}(?:%\w+)?(?!\w)     # IPv6, MAC, clock times
    | (?<![^\W_])(?=[0-9a-f-]{0,35}\d)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\w)   # UUIDs
    | (?<![^\W_])(?:0x)?(?=[0-9a-f]{0,64}\d)[0-9a-f]{6,}(?![^\W_])            # hashes, addresses
    | (?<![\w.$#-])[\w.$#-]*\d[\w.$#%+-]*                                         # anything else with a digit in it
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_QUOTES: Final = frozenset("\"'")
_DIGIT: Final = re.compile("[0-9]")
_DIGIT_LEFT: Final = "0"  # no template: what is remembered in place of one
_WITHOUT_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_REMEMBERED: Final = 8_192
_REMEMBERED_CHARS: Final = 512
_templates: dict[bytes, str] = {}
_DOT_LEADER: Final = re.compile(r"\.{2,}")


def template_of(message: str) -> str:
    """The first line of a message with numbers, ids, addresses, paths and quoted parts replaced by `<*>`.

    Which digits there are makes no difference to what is masked, but for the 0 of `0x`. So messages that differ in
    their digits only, as most do, are masked once, unless some digit is left.
    """
    if len(message) > _REMEMBERED_CHARS:
        return masked(message)
    blind = message.encode("utf-8", "surrogatepass").translate(_WITHOUT_DIGITS)
    if b"0x" in blind or b"0X" in blind:
        return masked(message)
    template = _templates.get(blind)
    if template is None:
        template = masked(message)
        if len(_templates) >= _REMEMBERED:
            _templates.clear()
        _templates[blind] = _DIGIT_LEFT if _DIGIT.search(template) else template
        return template
    return masked(message) if template == _DIGIT_LEFT else template


def masked(message: str) -> str:
    """The same, worked out anew."""
    head = _head(message)[:_HEAD_CHARS]
    if ".." in head:
        head = _DOT_LEADER.sub(" .. ", head)
    if _QUOTES.isdisjoint(head):
        # Only quoted parts span blanks: without them the words can be masked one by one, and most were met before.
        template = " ".join([w if w.isalpha() else MASK if w.isdecimal() else _masked_word(w) for w in head.split()])
    else:
        template = " ".join(_VARIABLE.sub(MASK, head).split())
    return template[:MAX_TEMPLATE_CHARS]


@lru_cache(maxsize=_CACHED)
def _masked_word(word: str) -> str:
    return _VARIABLE.sub(MASK, word)


def title_of(service: str, message: str) -> str:
    """A ticket's title: the service and the first line, at most 200 characters."""
    head = " ".join(_head(message).split()) or "(empty message)"
    title = f"{service}: {head}"
    return title if len(title) <= MAX_TITLE_CHARS else title[: MAX_TITLE_CHARS - 1] + "…"


def _head(message: str) -> str:
    return message[: 2 * _HEAD_CHARS].lstrip().split("\n", 1)[0]


def fingerprint_of(rule: str, service: str, template: str) -> str:
    """128 bits in hex that name the kind of trouble."""
    content = "\0".join((rule, service, template))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def group_of(rule: str, names: Sequence[str], values: Sequence[str]) -> str:
    """The fingerprint of a rule that groups by fields of its own choice."""
    return fingerprint_of(rule, "", _listed(names, values))


def fingerprint_in(rule: str, group: Sequence[tuple[str, str]]) -> str:
    """The fingerprint of a group, given by the names and values of the fields that the rule groups by."""
    names = [name for name, _ in group]
    values = [value for _, value in group]
    return fingerprint_of(rule, *values) if names == ["service", "template"] else group_of(rule, names, values)


def correlation_key_of(names: Sequence[str], values: Sequence[str]) -> str:
    """What alerts that shall share a ticket have in common, 128 bits in hex."""
    return fingerprint_of("", "", _listed(names, values))


def _listed(names: Sequence[str], values: Sequence[str]) -> str:
    return "\0".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
