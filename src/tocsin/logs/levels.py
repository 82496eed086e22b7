"""How bad a record is: six levels, and the OpenTelemetry severity number behind each name."""

from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """The six levels. A member's value is the lowest OpenTelemetry SeverityNumber of its range."""

    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARNING = 13
    ERROR = 17
    CRITICAL = 21


# Names that loggers use, as OpenTelemetry severity numbers (specification "Logs Data Model", appendix B).
# Syslog Critical (18) and Alert (19) lie in OpenTelemetry's ERROR range; here they are CRITICAL by name.
SEVERITY_BY_NAME: Final[dict[str, int]] = {
    "TRACE": 1, "FINEST": 1, "SILLY": 1, "T": 1, "TRC": 1, "ALL": 1,
    "DEBUG": 5, "D": 5, "DBG": 5, "FINER": 5, "VERBOSE": 5, "V": 5, "FINE": 6, "CONFIG": 7,
    "INFO": 9, "INFORMATION": 9, "INFORMATIONAL": 9, "I": 9, "INF": 9, "DEFAULT": 9, "LOG": 9, "SUCCESS": 9,
    "AUDIT": 9, "NOTICE": 10, "N": 10,
    "WARN": 13, "WARNING": 13, "W": 13, "WRN": 13,
    "ERROR": 17, "ERR": 17, "E": 17, "SEVERE": 17, "FAILURE": 17, "FAIL": 17, "EROR": 17,
    "CRIT": 18, "C": 18, "DPANIC": 18,
    "ALERT": 19, "PANIC": 19,
    "CRITICAL": 21, "FATAL": 21, "F": 21, "EMERG": 21, "EMERGENCY": 21, "FTL": 21, "DISASTER": 21,
}  # fmt: skip
SYSLOG_SEVERITIES: Final = (21, 19, 18, 17, 13, 10, 9, 5)  # index = RFC 5424 severity 0..7
PYTHON_SEVERITIES: Final = {10: 5, 20: 9, 30: 13, 40: 17, 50: 21}
PINO_SEVERITIES: Final = {10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21}  # bunyan uses the same numbers

_LEVELS: Final = tuple(
    Level.CRITICAL if n >= 18 else max(level for level in Level if level <= max(n, 1)) for n in range(25)
)


def level_of_severity(number: int) -> Level:
    """The level of an OpenTelemetry severity number (1..24): 18 and above are CRITICAL."""
    return _LEVELS[number]


def severity_of_name(name: str) -> int | None:
    """The severity number of a level's name in any case (`warn`, `LogLevel.Critical`), or of a digit string.

    None when it names no level.
    """
    text = name.strip()
    known = SEVERITY_BY_NAME.get(text.upper().removeprefix("LOGLEVEL."))
    if known is not None:
        return known
    return severity_of_number(int(text)) if text.isascii() and text.isdigit() and len(text) <= 2 else None


def severity_of_number(number: int) -> int | None:
    """The severity number meant by a bare `level: <number>`.

    0..7 are syslog severities (RFC 5424 6.2.1), 8..24 OpenTelemetry numbers, 30, 40, 50 and 60 those of pino and
    bunyan. None for every other number.
    """
    if 0 <= number <= 7:
        return SYSLOG_SEVERITIES[number]
    if 8 <= number <= 24:
        return number
    return PINO_SEVERITIES.get(number)
