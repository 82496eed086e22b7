"""What a replay is told and what it tells. Instants are microseconds since 1970."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class Face:
    """A group: its fingerprint, and what its records have in common, for people."""

    fingerprint: str
    template: str


@dataclass(slots=True)
class Heard:
    """The records of one commit in one group: `n` of them meet the condition.

    For a rule that counts, `ids`, `times` and `hits` list all that it looks at, by id. `key` and `service` are those of
    the first that meets the condition, and so are `message` and `group` (the values that make it), for a rule about new
    patterns; `level` is the highest, for one about absence. `covers` says which silences' matchers are true of them;
    before a rule has counted them all, `covering` does for each. `hidden_by` names the one that hides them now.
    `backfill`: nothing follows from them, but they are learned from.
    """

    face: Face
    service: str
    key: str
    n: int
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    ids: Sequence[int] = ()
    times: Sequence[int] = ()
    hits: Sequence[bool] = ()
    covering: Sequence[str | None] = ()
    covers: str | None = None
    hidden_by: str | None = None
    message: str = ""
    group: tuple[str, ...] = ()
    level: int = 0
    backfill: bool = False


@dataclass(slots=True, eq=False)
class Ticket:
    """A ticket there would have been. `opened_at` are when it opened and reopened, `pages` how often somebody would
    have been called for that. `priority` is a number, lower is more urgent; `raised`: it is more urgent than it began,
    as its alerts have grown. `storm`: it gathers what would have been too many. `going_on` are its alerts that have not
    ended."""

    number: int
    service: str | None
    first_id: int
    recurrence_of: int | None
    opened_at: list[int]
    priority: int = 0
    raised: bool = False
    pages: int = 0
    alerts: int = 0
    storm: str | None = None
    keys: set[str] = field(default_factory=set)
    going_on: set["Episode"] = field(default_factory=set)
    resolved_at: int | None = None


@dataclass(slots=True, eq=False)
class Episode:
    """An alert there would have been. `how`: it opened its ticket, joined or reopened it; `silenced`: it has none.
    `suppressed_by`: `flap`, `storm` or a silence. `ended_by`: `quiet`, `resolved` as its like really was, or `silence`:
    it fired no more when what hid it was over. `covers` is of its newest record, `label` the silence that hides the
    records it began with, whether that is heeded or not, `hid` are all that hid records of it."""

    face: Face
    service: str
    key: str
    opened_at: int
    said_at: int
    n: int
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    priority: int = 0
    suppressed_by: str | None = None
    covers: str | None = None
    label: str | None = None
    hid: set[str] = field(default_factory=set)
    ticket: Ticket | None = None
    how: str = "silenced"
    ended_at: int | None = None
    ended_by: str | None = None


@dataclass(slots=True)
class Tally:
    """What became of a group."""

    face: Face
    service: str
    n: int = 0
    alerts: int = 0
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A window that holds something at the end, but not enough."""

    face: Face
    service: str
    hits: int
    total: int


@dataclass(slots=True)
class Outcome:
    """What there would have been. `episodes` and `tickets` are the first of them, as many as are named; the counts are
    of all. `hours` and `days` count pages, by the hour of the day and by day. `priorities` counts tickets by what they
    are at the end, `raised` those that became more urgent. By silence, `hidden` counts records and `hidden_alerts` the
    alerts these are of, `labelled` the tickets and `labelled_pages` the pages that came of records it hid although they
    were heard."""

    matched: int = 0
    pending: int = 0
    late: int = 0
    alerts: int = 0
    flapping: int = 0
    opened: int = 0
    joined: int = 0
    reopened: int = 0
    recurrences: int = 0
    storms: int = 0
    pages: int = 0
    quieted: int = 0
    resolved: int = 0
    unheard: int = 0
    overflowed: int = 0
    episodes: list[Episode] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    hours: list[int] = field(default_factory=lambda: [0] * 24)
    days: Counter[date] = field(default_factory=Counter)
    alert_days: Counter[date] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    hidden_alerts: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)
    labelled_pages: Counter[str] = field(default_factory=Counter)
    raised: int = 0
    priorities: Counter[int] = field(default_factory=Counter)
    groups: dict[str, Tally] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)

    def noisiest(self, limit: int) -> list[Tally]:
        """The groups with the most alerts, and of those with the most records."""
        order = sorted(self.groups.values(), key=lambda t: (-t.alerts, -t.n, t.face.fingerprint))
        return order[:limit]
