"""How a level stands in a line's header: the names and marks, and the forms they are written in."""

import re
from dataclasses import dataclass
from typing import Final

from tocsin.logs.levels import SEVERITY_BY_NAME, level_of_severity

# Four-letter names of loggers that pad or cut to a column, beside those every format shares.
_CUT_NAMES: Final = {
    "TRAC": 1, "TRCE": 1, "BLAT": 1, "DEBG": 5, "DEBU": 5, "DBUG": 5, "VERB": 5, "ERRO": 17, "FATA": 21, "PANI": 21,
}  # fmt: skip
LEVEL_BY_NAME: Final = {
    name: level_of_severity(number).name for name, number in {**SEVERITY_BY_NAME, **_CUT_NAMES}.items()
}
LEVEL_BY_MARK: Final = {".": "DEBUG", "-": "DEBUG", "*": "INFO", "#": "WARNING"}

# Names that in lower case mean nothing but a level; the others (`log`, `all`, `fail`) are ordinary words too.
_UNMISTAKABLE: Final = frozenset(
    [
        "TRACE",
        "DEBUG",
        "INFO",
        "INFORMATION",
        "NOTICE",
        "WARN",
        "WARNING",
        "ERROR",
        "ERR",
        "CRIT",
        "CRITICAL",
        "FATAL",
        "VERBOSE",
        "SEVERE",
        "EMERG",
        "TRCE",
        "DBUG",
        "DEBU",
        "ERRO",
        "FATA",
    ]
)


def level_of_word(word: str) -> str | None:
    """The canonical level that a header's word names, in any case; None when it names none."""
    return LEVEL_BY_NAME.get(word) or LEVEL_BY_NAME.get(word.upper()) or LEVEL_BY_MARK.get(word)


@dataclass(frozen=True, slots=True)
class LevelForm:
    """One way of writing levels. Groups in `pattern` are written `(?P<@>`, one for each of `fields`.

    `share` is how many of the lines must carry it in a column for the column to be the level's. The test of a single
    line's word is `accepts`.
    """

    name: str
    pattern: str
    share: float
    case: str = "any"  # any | upper | plain (a name that in any case is a level and nothing else)
    fields: tuple[str, ...] = ("level",)

    def accepts(self, word: str) -> bool:
        """Whether this word, found where the form wants it, is a level."""
        upper = word.upper()
        if self.case == "plain":
            return upper in _UNMISTAKABLE
        if self.case == "mark":
            return word in LEVEL_BY_MARK
        if self.case == "letter":
            return word in LEVEL_BY_NAME
        return upper in LEVEL_BY_NAME and (self.case == "any" or (word == upper and len(word) > 1))

    def believes(self, words: set[str]) -> bool:
        """Whether words that are levels each are believable as a whole column of them."""
        if self.case == "letter":
            return bool(words & set("DIVW"))
        return self.case != "mark" or bool(words & set("*#"))


_END: Final = r"(?:[:,;]|(?=[\s|]|$))"
_WORD: Final = r"(?P<@>[A-Za-z]{2,13})"

# In the order in which a column is asked.
FORMS: Final = (
    LevelForm("bracketed", r"[\[<(]\s{0,8}(?P<@>[A-Za-z]{1,13})\s{0,8}[\]>)][:,]?", 0.5),
    LevelForm("module:level", r"\[(?P<@>[\w.-]{0,40}):(?P<@>[A-Za-z]{2,13})\]:?", 0.5, fields=("logger", "level")),
    LevelForm("thread/level", r"\[(?P<@>[^\[\]/]{1,60})/(?P<@>[A-Z]{3,13})\]:?", 0.5, fields=("thread", "level")),
    LevelForm("channel.level", r"(?P<@>[\w-]{1,60})\.(?P<@>[A-Z]{3,13}):(?=\s|$)", 0.5, fields=("logger", "level")),
    LevelForm("key=level", r"(?i:level|lvl|severity|loglevel|log_level)[=:]\s?\"?" + _WORD + r"\"?[,;]?(?=\s|$)", 0.5),
    LevelForm("word", _WORD + r"(?:\[(?P<@>\d{1,9})\])?" + _END, 0.5, case="upper", fields=("level", "uptime")),
    LevelForm("word:", _WORD + r":(?=\s|$)", 0.5),
    LevelForm("plain word", _WORD + _END, 0.9, case="plain"),
)
LETTER: Final = LevelForm("letter", r"(?P<@>[A-Z])(?:[/:](?=\S)|(?=[\s|:]|$))", 0.95, case="letter")
MARK: Final = LevelForm("mark", r"(?P<@>[.*#-])(?=\s)", 0.95, case="mark")


def compile_form(form: LevelForm) -> re.Pattern[str]:
    """The form as a pattern of its own; the group of the level is `level`."""
    pattern = form.pattern
    for name in form.fields:
        pattern = pattern.replace("(?P<@>", "(?P<level>" if name == "level" else "(", 1)
    return re.compile(pattern)
