"""Which single words are variable: a template with one place left open, and the words that were seen there."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from tocsin.alerts.pairs import MIN_PAIRS
from tocsin.alerts.skeletons import VARIABLE, Tokens, is_word

MAX_VALUES: Final = 250_000  # in all holes together: about 50 MB
MAX_VARIABLE: Final = 100_000
MAX_KNOWN: Final = 20_000

_ENOUGH: Final = 6.0  # plain words that make a place variable
_MANY_WORDS: Final = 5  # around a place: then three quarters of that are enough
_MAX_INSIDE: Final = 24  # tokens between brackets or quotes
_STRUCTURE: Final = frozenset("=:([{")  # what stands in brackets with one of these is more than a list
_ENCLOSED: Final = 3.0
_AFTER_NOUN: Final = 1.5
_KNOWN: Final = 3.0  # the weight of what was a value elsewhere
_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "<": ">", '"': '"', "'": "'"}
_ENCLOSING: Final = {"|": "|", '"': '"', "'": "'", "[": "]", "<": ">"}
_BEFORE_NAMES: Final = frozenset({":", "'", '"', "[", "(", "="})
_MARKS_OF_NAMES: Final = frozenset(".\\$@_")
_NOUNS: Final = """
    user username login account owner role group host hostname server client peer node cluster region domain
    file filename path dir directory device disk drive volume interface iface dev
    service daemon process program command app application job task package module plugin container pod image
    queue topic table database db bucket key name id
"""
_SMALL_WORDS: Final = """
    a an the this that it its is are was were be been has have had does did do can will not no
    in on at to of for from by with as and or if but so than then up down out
"""
_INTRODUCING: Final = frozenset(_NOUNS.split())
_NO_NAMES: Final = frozenset(_SMALL_WORDS.split())

_MODULUS: Final = (1 << 61) - 1
_BASE: Final = 0x1F3A5C7E9B2D4F61 % _MODULUS
_OPEN: Final = 0x0BADC0FFEE123457
_POWERS: Final = [pow(_BASE, n, _MODULUS) for n in range(1024)]


@lru_cache(maxsize=65_536)
def _code(token: str) -> int:
    return int.from_bytes(blake2b(token.encode("utf-8", "surrogatepass"), digest_size=7).digest())


@dataclass(frozen=True, slots=True)
class Hole:
    """The places from `start` to before `stop` left open; `key` stands for the rest of the template."""

    start: int
    stop: int
    key: int


def holes_of(tokens: Tokens) -> Iterator[Hole]:
    """Every word or variable, then the insides of brackets and quotes. The keys of all of them take linear time."""
    sums = [0]
    for token in tokens:
        sums.append((sums[-1] * _BASE + _code(token)) % _MODULUS)
    count, whole = len(tokens), sums[-1]
    for start, stop in _places(tokens):
        after = _POWERS[count - stop]
        rest = whole - sums[stop] * after
        yield Hole(start, stop, ((sums[start] * _BASE + _OPEN) * after + rest) % _MODULUS)


def _places(tokens: Tokens) -> Iterator[tuple[int, int]]:
    pairs = tokens.count("=") >= MIN_PAIRS
    for at, token in enumerate(tokens):
        is_key = tokens[at + 1 : at + 2] == ("=",)  # it says what is meant
        is_value = pairs and tokens[at - 1 : at] == ("=",)  # of lines of pairs: judged by its key
        if not is_key and not is_value and (token == VARIABLE or is_word(token)):
            yield at, at + 1
    for at, token in enumerate(tokens):
        stop = _end_of_inside(tokens, at) if token in _CLOSING else None
        if stop is not None and stop > at + 2:  # one token is a place already
            yield at + 1, stop


def _end_of_inside(tokens: Tokens, at: int) -> int | None:
    """Where what opens at `at` is closed, unless there is more than a list of words inside."""
    closing = _CLOSING[tokens[at]]
    for stop in range(at + 1, min(at + 2 + _MAX_INSIDE, len(tokens))):
        if tokens[stop] == closing:
            return stop
        if closing != tokens[at] and tokens[stop] in _STRUCTURE:
            return None
    return None


def filled(tokens: Tokens, hole: Hole) -> list[str]:
    """The template with a variable in the hole."""
    return [*tokens[: hole.start], VARIABLE, *tokens[hole.stop :]]


class Holes(msgspec.Struct):
    """The words seen in every hole, and the holes that are known to hold a variable."""

    only: dict[int, tuple[str, int]] = {}  # most holes ever see one value
    values: dict[int, dict[str, int]] = {}
    variable: dict[int, None] = {}
    known: dict[str, None] = {}  # words that were a variable's value somewhere
    recorded: int = 0

    def record(self, hole: Hole, value: str, group: int) -> dict[str, int] | None:
        """Note the value; what the hole has seen when this made it more than one."""
        seen = self.values.get(hole.key)
        if seen is not None:
            if value in seen or self.recorded >= MAX_VALUES:
                return None
            seen[value] = group
        else:
            only = self.only.get(hole.key)
            if (only is not None and only[0] == value) or self.recorded >= MAX_VALUES:
                return None
            if only is None:
                self.only[hole.key] = (value, group)
            else:
                del self.only[hole.key]
                seen = self.values[hole.key] = {only[0]: only[1], value: group}
        self.recorded += 1
        return seen

    def seen(self, hole: Hole) -> dict[str, int]:
        """The values of a hole that has seen more than one and isn't known to be variable."""
        return self.values.get(hole.key, {})

    def open(self, hole: Hole, values: dict[str, int]) -> None:
        """From now on the hole holds a variable."""
        self.variable[hole.key] = None
        self.recorded -= len(self.values.pop(hole.key, {}))
        for value in values:
            self.learn(value)

    def learn(self, value: str) -> None:
        if value != VARIABLE and len(self.known) < MAX_KNOWN:
            self.known[value] = None

    def weight(self, value: str) -> float:
        """How much a value tells that its place is variable."""
        if value in self.known:
            return _KNOWN
        if _is_constant(value):
            return 0.75
        inner = value[1:-1]
        if inner.count(".") > 1:
            return 2.5
        named = len(value) == 1 or not _MARKS_OF_NAMES.isdisjoint(inner) or inner != inner.lower()
        return 2.0 if named else 1.0

    def ripe(self, tokens: Tokens, hole: Hole, values: dict[str, int]) -> bool:
        """Whether what was seen is enough to say that the hole holds a variable."""
        words_before = sum(map(is_word, tokens[: hole.start]))
        words = words_before + sum(map(is_word, tokens[hole.stop :]))
        first = words_before == 0
        if len(self.variable) >= MAX_VARIABLE:
            return False
        if VARIABLE in values and words >= (4 if first else 2):  # a number and a word compete for the place
            return True
        if len(values) < 3:
            return False
        announced = _announced(tokens, hole.start) if hole.stop == hole.start + 1 else 1.0
        seen = sum(self.weight(value) * (announced if _is_name(value) else 1.0) for value in values)
        return seen >= _needed(words, first=first)


def _needed(words: int, *, first: bool) -> float:
    """The fewer words stand around, the more values it takes; a first word is seldom variable."""
    needed = _ENOUGH
    if first:
        needed *= 4 if words < 3 else 2
    if words == 1:
        needed *= 2
    if words == 0:
        needed *= 8
    return 0.75 * needed if words >= _MANY_WORDS else needed


def _announced(tokens: Tokens, at: int) -> float:
    """How many times more a name tells here: `x=y`, `"ana"`, `[ana]`, `ana[7]`, `host: db`; less sure is `user ana`."""
    before = tokens[at - 1] if at else ""
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    if before == "=" or (after and _ENCLOSING.get(before) == after):
        return _ENCLOSED
    if after == "[" and tokens[at + 2 : at + 4] == (VARIABLE, "]"):
        return _ENCLOSED
    noun = at - 1
    while noun > 0 and tokens[noun] in _BEFORE_NAMES:
        noun -= 1
    if noun < 0 or tokens[noun].lower() not in _INTRODUCING:
        return 1.0
    return _AFTER_NOUN if noun == at - 1 else _ENCLOSED  # `server ana`, but also `server error`


def _is_name(value: str) -> bool:
    """Whether the value may be a name: `user ana`, but not `user is` and `user deleted`."""
    return value not in _NO_NAMES and not value.endswith(("ed", "ing"))


def _is_constant(value: str) -> bool:
    """Whether it is written as programs write the names of constants: `TIMED_OUT`, `action.TIMED_OUT`."""
    last = value.rpartition(".")[2]
    return len(last) > 1 and last.isupper() and last.replace("_", "").isalpha()
