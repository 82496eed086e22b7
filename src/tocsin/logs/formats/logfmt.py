"""logfmt: lines of `key=value` pairs, values quoted where they hold spaces."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tocsin.logs.formats.levelwords import level_of_word
from tocsin.logs.formats.stamps import SHAPES, StampReader

TIME_KEYS: Final = ("time", "ts", "timestamp", "t", "@timestamp", "datetime", "date")
LEVEL_KEYS: Final = ("level", "lvl", "severity", "loglevel", "log_level")
MESSAGE_KEYS: Final = ("msg", "message")
SERVICE_KEYS: Final = ("service", "service.name", "app")

_KEY: Final = r"[A-Za-z_@][\w.@/-]{0,100}+"
_PAIR: Final = re.compile(rf'({_KEY})=("(?:[^"\\]|\\.)*+"(?=\s|$)|[^\s"]\S*+|(?=\s|$))\s*+', re.DOTALL)
_WORD: Final = re.compile(r"(\S++)\s*+")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


def read_pairs(line: str) -> tuple[dict[str, str], list[str]]:
    """The pairs of a line in their order (the first of a name wins), and the words that belong to none."""
    pairs: dict[str, str] = {}
    words: list[str] = []
    line = line.lstrip()
    position = 0
    while position < len(line):
        found = _PAIR.match(line, position)
        if found is not None and found[1] not in pairs:
            value = found[2]
            pairs[found[1]] = _unquote(value) if value[:1] == '"' else value
        else:
            found = _WORD.match(line, position)
            assert found is not None
            words.append(found[1])
        position = found.end()
    return pairs, words


def is_logfmt(lines: Sequence[str]) -> bool:
    """Whether most lines begin with a pair and name two of time, level and message."""
    hits = 0
    for line in lines:
        if _PAIR.match(line):
            pairs, words = read_pairs(line)
            named = sum(1 for keys in (TIME_KEYS, LEVEL_KEYS, MESSAGE_KEYS) if any(key in pairs for key in keys))
            hits += named >= 2 and len(words) <= len(pairs)
    return hits > 0 and hits >= 0.7 * len(lines)


class StampTexts:
    """Reads texts that are one timestamp each; the shape that fitted last is tried first."""

    def __init__(self, *, now: datetime) -> None:
        patterns = [re.compile(shape.pattern) for shape in SHAPES]
        self._readers = [
            (pattern, StampReader(shape, pattern, now=now)) for shape, pattern in zip(SHAPES, patterns, strict=True)
        ]

    def read(self, text: str) -> str | None:
        """The instant in RFC 3339; None when the text names none."""
        for index, (pattern, reader) in enumerate(self._readers):
            found = pattern.fullmatch(text)
            stamp = reader.read(found) if found else None
            if stamp is not None:
                if index:
                    self._readers.insert(0, self._readers.pop(index))
                return stamp
        return None


def record_of_pairs(line: str, stamps: StampTexts) -> dict[str, object] | None:
    """A logfmt line as a record of our own JSON shape; None when it holds no pair."""
    pairs, words = read_pairs(line)
    if not pairs:
        return None
    record: dict[str, object] = {}
    time_key = next((key for key in TIME_KEYS if key in pairs), None)
    if time_key and (stamp := stamps.read(pairs[time_key])):
        record["timestamp"] = stamp
        del pairs[time_key]
    level_key = next((key for key in LEVEL_KEYS if key in pairs), None)
    level = level_of_word(pairs[level_key]) if level_key else None
    if level_key and level:
        del pairs[level_key]
    record["level"] = level or "INFO"
    service_key = next((key for key in SERVICE_KEYS if pairs.get(key)), None)
    if service_key:
        record["service"] = pairs.pop(service_key)
    message_key = next((key for key in MESSAGE_KEYS if key in pairs), None)
    message = pairs.pop(message_key) if message_key else line.strip()
    if words and message_key:
        message = f"{message} {' '.join(words)}".strip()
    record["message"] = message
    record["attributes"] = pairs
    return record


def _unquote(value: str) -> str:
    inner = value[1:-1]
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), inner) if "\\" in inner else inner
