"""The draft of a postmortem: what is known of a ticket, in Markdown, and places for what only people know. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.kit.clock import iso
from tocsin.tickets.markdown import cut, fenced, inline

MAX_LINE: Final = 1_000
MAX_LINES: Final = 10  # of one record: a stack trace is longer
_TO_FILL: Final = (
    ("Impact", "Who was affected, how, for how long?"),
    ("Root cause", "What made it possible, and what set it off?"),
    ("What went well", "What helped to notice, to understand, to end it?"),
    ("What went badly", "What was slow, missing, or luck?"),
)


@dataclass(frozen=True, slots=True)
class Head:
    """The ticket itself."""

    id: int
    title: str
    status: str
    priority: str
    opened_at: datetime
    opened_by: str
    service: str | None = None
    team: str | None = None
    assignee: str | None = None
    tags: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    reopen_count: int = 0
    resolution_code: str | None = None
    resolution_note: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A clock of the ticket's SLA policy; times are working time of its calendar."""

    name: str
    state: str
    elapsed: timedelta
    left: timedelta  # less than nothing, once it was missed


@dataclass(frozen=True, slots=True)
class Durations:
    """How long it took, by the clock on the wall."""

    to_acknowledge: timedelta | None
    to_resolve: timedelta | None
    on_hold: timedelta
    policy: str | None = None
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, in words."""

    at: datetime
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A record of the log."""

    id: int
    at: datetime
    level: str
    service: str
    message: str


@dataclass(frozen=True, slots=True)
class AlertPart:
    """An alert of the ticket with its first records; `lost` of them can't be read any more."""

    id: int
    rule: str
    status: str
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    title: str
    lines: tuple[Line, ...] = ()
    lost: int = 0


@dataclass(frozen=True, slots=True)
class ChangePart:
    """Something that was changed in a service of the ticket."""

    at: datetime
    service: str
    summary: str
    ref: str | None
    author: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class TicketPart:
    """Another ticket, and what this one is to it."""

    id: int
    relation: str
    status: str
    title: str
    resolution: str | None = None


@dataclass(frozen=True, slots=True)
class Matter:
    """All that the draft is made of. `more` say how much there was no room for."""

    head: Head
    durations: Durations
    timeline: Sequence[Entry] = ()
    more_entries: bool = False
    alerts: Sequence[AlertPart] = ()
    more_alerts: bool = False
    changes: Sequence[ChangePart] = ()
    tickets: Sequence[TicketPart] = ()


def draft(matter: Matter) -> str:
    """The document. Nothing that logs, alerts or people said acts in it."""
    parts = (
        [f"# Postmortem of ticket {matter.head.id}: {inline(matter.head.title)}"],
        _summary(matter.head),
        _durations(matter.durations),
        *(_to_fill(name, question) for name, question in _TO_FILL[:2]),
        _timeline(matter),
        _alerts(matter),
        _extracts(matter.alerts),
        _changes(matter.changes),
        _tickets(matter.tickets),
        *(_to_fill(name, question) for name, question in _TO_FILL[2:]),
        ["## Action items", "", "- [ ] *What, who, until when?*"],
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def spoken(length: timedelta | None) -> str:
    """A duration to the second: `1 d 2 h 3 min 4 s`."""
    if length is None:
        return "-"
    rest = int(abs(length).total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Cells are Markdown already."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _cell(text: str | None) -> str:
    return inline(text) if text else "-"


def _instant(at: datetime | None) -> str:
    return "-" if at is None else iso(at.replace(microsecond=0))


def _to_fill(name: str, question: str) -> list[str]:
    return [f"## {name}", "", f"*{question}*"]


def _summary(head: Head) -> list[str]:
    resolution = ": ".join(part for part in (head.resolution_code, head.resolution_note) if part)
    rows = [
        ("Status", head.status),
        ("Priority", head.priority),
        ("Service", _cell(head.service)),
        ("Team", _cell(head.team)),
        ("Assignee", _cell(head.assignee)),
        ("Opened", f"{_instant(head.opened_at)} by {inline(head.opened_by)}"),
        ("Acknowledged", _instant(head.acknowledged_at)),
        ("Resolved", _instant(head.resolved_at)),
        ("Reopened", f"{head.reopen_count} times" if head.reopen_count else "never"),
        ("Resolution", _cell(resolution)),
        ("Tags", _cell(", ".join(head.tags))),
    ]
    return ["## Summary", "", "*In two sentences: what happened?*", "", *_table(("", ""), rows)]


def _durations(durations: Durations) -> list[str]:
    rows = [
        ("to acknowledge", spoken(durations.to_acknowledge), "-"),
        ("to resolve", spoken(durations.to_resolve), "-"),
        ("on hold", spoken(durations.on_hold), "-"),
    ]
    for target in durations.targets:
        over = target.left < timedelta(0)
        left = f"{spoken(target.left)} {'over' if over else 'left'}"
        rows.append((f"SLA {inline(durations.policy or '')}, to {target.name}", spoken(target.elapsed),
                     f"{inline(target.state)}, {left}"))  # fmt: skip
    return ["## Durations", "", *_table(("", "took", "result"), rows)]


def _timeline(matter: Matter) -> list[str]:
    lines = ["## Timeline", ""]
    lines += [f"- {_instant(one.at)} {inline(one.actor)}: {inline(one.text)}" for one in matter.timeline]
    if matter.more_entries:
        lines.append(f"- *More: `GET /tickets/{matter.head.id}/events`*")
    return lines


def _alerts(matter: Matter) -> list[str]:
    if not matter.alerts:
        return []
    rows = [
        (str(one.id), _cell(one.rule), one.status, str(one.count), _instant(one.first_seen_at),
         _instant(one.last_seen_at), _cell(one.title))
        for one in matter.alerts
    ]  # fmt: skip
    more = ["", f"*More: `GET /tickets/{matter.head.id}`*"] if matter.more_alerts else []
    head = ("alert", "rule", "status", "records", "first seen", "last seen", "title")
    return ["## Alerts", "", *_table(head, rows), *more]


def _extracts(alerts: Iterable[AlertPart]) -> list[str]:
    lines = list[str]()
    for alert in alerts:
        if not alert.lines and not alert.lost:
            continue
        lines += ["", f"### Alert {alert.id}", ""]
        if alert.lines:
            lines += fenced(text for line in alert.lines for text in _said(line))
        if alert.lost:
            lines += ["", f"*{alert.lost} of its first records can't be read any more.*"]
    return ["## Log extracts", *lines] if lines else []


def _said(line: Line) -> Iterator[str]:
    first, *rest = line.message.splitlines() or [""]
    yield f"{iso(line.at)} {line.level} {line.service} {cut(first, MAX_LINE)}"
    yield from (f"    {cut(text, MAX_LINE)}" for text in rest[: MAX_LINES - 1])
    if len(rest) >= MAX_LINES:
        yield f"    ... {len(rest) - MAX_LINES + 1} more lines of record {line.id}"


def _changes(changes: Sequence[ChangePart]) -> list[str]:
    if not changes:
        return []
    rows = [
        (_instant(one.at), _cell(one.service), _cell(one.summary), _cell(one.ref), _cell(one.author), _cell(one.url))
        for one in changes
    ]
    head = ("when", "service", "what", "ref", "author", "where")
    return ["## Contributing changes", "", "*Which of these had a part in it?*", "", *_table(head, rows)]


def _tickets(tickets: Sequence[TicketPart]) -> list[str]:
    if not tickets:
        return []
    rows = [(str(one.id), inline(one.relation), one.status, _cell(one.title), _cell(one.resolution)) for one in tickets]
    return ["## Other tickets", "", *_table(("ticket", "this one", "status", "title", "resolution"), rows)]
