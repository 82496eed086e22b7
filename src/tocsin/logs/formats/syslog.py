"""Syslog: RFC 5424 exactly, RFC 3164 and the forms found in files leniently, and the record either one becomes."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from tocsin.logs.formats.stamps import AFTER, SHAPES, StampReader
from tocsin.logs.levels import SYSLOG_SEVERITIES, level_of_severity

FACILITIES: Final = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
)  # fmt: skip
LEVELS: Final = tuple(level_of_severity(number).name for number in SYSLOG_SEVERITIES)
BYTE_ORDER_MARK: Final = "\ufeff"

_PRI: Final = re.compile(r"<(0|[1-9]\d?|1[0-8]\d|19[01])>", re.ASCII)
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
# The header after PRI, RFC 5424 6.2: name, pattern, and what a reader of the error should learn.
_HEADER: Final = (
    ("VERSION", r"[1-9]\d{0,2}", "a version of 1 to 3 digits, then a space"),
    ("TIMESTAMP", r"-|\d[^ ]{19,31}", "`-` or an RFC 3339 time with upper case T and Z, then a space"),
    ("HOSTNAME", r"[!-~]{1,255}", "`-` or 1 to 255 printable ASCII characters, then a space"),
    ("APP-NAME", r"[!-~]{1,48}", "`-` or 1 to 48 printable ASCII characters, then a space"),
    ("PROCID", r"[!-~]{1,128}", "`-` or 1 to 128 printable ASCII characters, then a space"),
    ("MSGID", r"[!-~]{1,32}", "`-` or 1 to 32 printable ASCII characters, then a space"),
)
_HEADER_AT_ONCE: Final = re.compile("".join(f"({pattern}) " for _, pattern, _ in _HEADER), re.ASCII)
_SD_NAME: Final = r"[!#-<>-\\^-~]{1,32}"
_SD_ID: Final = re.compile(rf"\[({_SD_NAME})(?=[ \]])")
_SD_PARAM: Final = re.compile(rf' ({_SD_NAME})="((?:[^"\\\]]|\\["\\\]])*+)"')
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")
_ESCAPED: Final = re.compile(r'\\(["\\\]])')


class NotSyslog(ValueError):
    """The text isn't a syslog message. `position` counts characters from 0."""

    def __init__(self, position: int, expected: str) -> None:
        super().__init__(f"at character {position}: expected {expected}")
        self.position = position
        self.expected = expected


@dataclass(frozen=True, slots=True)
class SyslogMessage:
    """A message of RFC 5424. A field sent as `-` is None.

    `timestamp` is in UTC. Values in `structured_data` are as sent, escapes included (`unescape` reads one); a name
    given twice within an element keeps all its values, joined by `, `.
    """

    facility: int
    severity: int
    version: int
    timestamp: datetime | None
    hostname: str | None
    appname: str | None
    procid: str | None
    msgid: str | None
    structured_data: dict[str, dict[str, str]]
    message: str | None

    @property
    def priority(self) -> int:
        """The number in `<PRI>`, RFC 5424 6.2.1."""
        return self.facility * 8 + self.severity


@dataclass(frozen=True, slots=True)
class BsdMessage:
    """A message near to RFC 3164. What the line lacks is None; `tag` is the program's name as written."""

    facility: int | None
    severity: int | None
    timestamp: datetime | None
    hostname: str | None
    tag: str | None
    procid: str | None
    message: str


def unescape(value: str) -> str:
    r"""A parameter's value without the escapes `\"`, `\\` and `\]` (RFC 5424 6.3.3)."""
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value


def number_or_text(value: str) -> int | str:
    """A decimal number as such where it can be written back the same; other text as it is."""
    return int(value) if _NUMBER.fullmatch(value) else value


def parse_rfc5424(text: str) -> SyslogMessage:
    """Read one message of RFC 5424, without any framing. Raises NotSyslog."""
    pri = _PRI.match(text)
    if pri is None:
        raise NotSyslog(0, "`<PRI>`, a number from 0 to 191 without leading zeros")
    header = _HEADER_AT_ONCE.match(text, pri.end())
    if header is None:
        _explain_header(text, pri.end())
    version, stamp, *names = header.groups()
    facility, severity = divmod(int(pri[1]), 8)
    elements, end = _structured_data(text, header.end())
    if end < len(text) and text[end] != " ":
        raise NotSyslog(end, "a space before the message")
    hostname, appname, procid, msgid = (None if name == "-" else name for name in names)
    return SyslogMessage(
        facility=facility,
        severity=severity,
        version=int(version),
        timestamp=None if stamp == "-" else _timestamp(stamp, header.start(2)),
        hostname=hostname,
        appname=appname,
        procid=procid,
        msgid=msgid,
        structured_data=elements,
        message=text[end + 1 :].removeprefix(BYTE_ORDER_MARK) if end < len(text) else None,
    )


def _explain_header(text: str, position: int) -> NoReturn:
    for name, pattern, expected in _HEADER:
        found = re.compile(f"(?:{pattern}) ", re.ASCII).match(text, position)
        if found is None:
            raise NotSyslog(position, f"{name}: {expected}")
        position = found.end()
    raise AssertionError("the header matched after all")


def _timestamp(text: str, position: int) -> datetime:
    if not _STAMP.fullmatch(text):
        raise NotSyslog(position, f"TIMESTAMP: {_HEADER[1][2]}")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NotSyslog(position, f"TIMESTAMP: an instant that exists; {error}") from None


def _structured_data(text: str, position: int) -> tuple[dict[str, dict[str, str]], int]:
    """The elements that start at `position`, and where they end (RFC 5424 6.3)."""
    if text.startswith("-", position):
        return {}, position + 1
    elements: dict[str, dict[str, str]] = {}
    while text.startswith("[", position):
        found = _SD_ID.match(text, position)
        if found is None:
            raise NotSyslog(position + 1, 'SD-ID: 1 to 32 printable ASCII characters but `=`, `]`, `"` and space')
        name, params = found[1], dict[str, str]()
        if name in elements:
            raise NotSyslog(position + 1, f"an SD-ID that did not occur before; {name} did")
        position = found.end()
        while param := _SD_PARAM.match(text, position):
            known = params.get(param[1])
            params[param[1]] = param[2] if known is None else f"{known}, {param[2]}"
            position = param.end()
        if not text.startswith("]", position):
            raise NotSyslog(position, r'`]` or ` NAME="VALUE"` with `"`, `\` and `]` escaped by `\`')
        elements[name] = params
        position += 1
    if not elements:
        raise NotSyslog(position, "STRUCTURED-DATA: `-` or `[`")
    return elements, position


# RFC 3164 and what real files hold: a tag may carry spaces (`Google Chrome[12]:`), a version (`syslogd 1.4.1:`), a
# module (`sshd(pam_unix)[7]:`) and a context (`launchd[1] (com.apple.foo[7]):`). All runs are bounded or possessive.
TAG: Final = (
    r"(?P<tag>(?P<app>[\w./@+-]{1,64}+)[^\s:\[]{0,64}+(?: \d[\w.-]{0,32}+(?=:))?"
    r"|[A-Z][\w.]{0,32}+(?: [A-Z][\w.]{0,32}+){1,3}(?=\[))"
    r"(?:\[(?P<pid>[^\]\s]{0,64}+)\])?(?: \((?P<context>[^()]{0,200}+)\))?:(?=\s|$)"
)
_BSD_SHAPES: Final = tuple(
    shape
    for shape in SHAPES
    if shape.name in {"month-name day time", "month-name day year time", "year-month-day time"}
)


def _bsd_pattern(stamp: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:<(?P<pri>\d{{1,3}})>)?\s?{stamp}{AFTER}:?\s++"
        rf"(?:(?P<host>[^\s\[]++)(?<!:)\s++)?(?:-- )?(?:{TAG}\s*+)?(?P<message>.*)",
        re.DOTALL | re.ASCII,
    )


class BsdReader:
    """Reads lines near to RFC 3164; made once, since it keeps what it learns about dates. `now` gives the year."""

    def __init__(self, *, now: datetime) -> None:
        patterns = [_bsd_pattern(shape.pattern) for shape in _BSD_SHAPES]
        self._readers = [
            (pattern, StampReader(shape, pattern, now=now))
            for shape, pattern in zip(_BSD_SHAPES, patterns, strict=True)
        ]

    def match(self, line: str) -> tuple[re.Match[str], str] | None:
        """The parts of the line and its instant in RFC 3339; None when it has no such header."""
        for index, (pattern, reader) in enumerate(self._readers):
            found = pattern.match(line)
            stamp = None if found is None else reader.read(found)
            if found is not None and stamp is not None:
                if index:  # a file keeps to one shape: try it first from now on
                    self._readers.insert(0, self._readers.pop(index))
                return found, stamp
        return None

    def record(self, line: str) -> dict[str, object] | None:
        """The line as a record of our own JSON shape; None when it has no syslog header."""
        read = self.match(line)
        if read is None:
            return None
        found, stamp = read
        pri, host, tag, app, pid, context, message = found.group(*_RECORD_PARTS)
        attributes: dict[str, object] = {}
        if host:
            attributes["host"] = host
        if pid:
            attributes["pid"] = number_or_text(pid)
        if tag and tag != app:
            attributes["logger"] = tag
        if context:
            attributes["context"] = context
        level = "INFO"
        if pri and int(pri) < 192:
            level = LEVELS[int(pri) % 8]
            attributes["facility"] = FACILITIES[int(pri) // 8]
        elif pri:
            attributes["priority"] = int(pri)
        record: dict[str, object] = {"timestamp": stamp, "level": level, "message": message, "attributes": attributes}
        if tag:
            record["service"] = app or tag
        return record

    @staticmethod
    def bare_record(line: str) -> dict[str, object] | None:
        """A line of which nothing but PRI can be read (RFC 3164 4.3.3); None without one."""
        pri = _PRI.match(line)
        if pri is None:
            return None
        facility, severity = divmod(int(pri[1]), 8)
        attributes = {"facility": FACILITIES[facility]}
        return {"level": LEVELS[severity], "message": line[pri.end() :].lstrip(), "attributes": attributes}


_RECORD_PARTS: Final = ("pri", "host", "tag", "app", "pid", "context", "message")


def parse_rfc3164(text: str, *, now: datetime) -> BsdMessage:
    """Read one line near to RFC 3164, leniently: PRI, host and tag may be missing. Raises NotSyslog.

    A date without a year takes the latest year in which it does not lie more than a day after `now`.
    """
    read = BsdReader(now=now).match(text)
    if read is None:
        raise NotSyslog(0, "an optional `<PRI>`, then `Mmm dd hh:mm:ss` or an RFC 3339 time")
    found, stamp = read
    pri = int(found["pri"]) if found["pri"] else None
    if pri is not None and pri > 191:
        raise NotSyslog(0, "`<PRI>`, a number from 0 to 191")
    return BsdMessage(
        facility=None if pri is None else pri // 8,
        severity=None if pri is None else pri % 8,
        timestamp=datetime.fromisoformat(stamp),
        hostname=found["host"],
        tag=found["tag"],
        procid=found["pid"],
        message=found["message"],
    )


def record_of(message: SyslogMessage) -> dict[str, object]:
    """A message of RFC 5424 as a record of our own JSON shape; structured data becomes `SD-ID.NAME` attributes."""
    attributes: dict[str, object] = {"facility": FACILITIES[message.facility]}
    for name, value in (("host", message.hostname), ("pid", message.procid), ("msgid", message.msgid)):
        if value is not None:
            attributes[name] = number_or_text(value) if name == "pid" else value
    for element, params in message.structured_data.items():
        attributes.update({f"{element}.{name}": unescape(value) for name, value in params.items()})
        if not params:
            attributes[element] = ""
    record: dict[str, object] = {
        "level": LEVELS[message.severity],
        "message": message.message or "",
        "attributes": attributes,
    }
    if message.timestamp is not None:
        record["timestamp"] = message.timestamp.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if message.appname is not None:
        record["service"] = message.appname
    return record
