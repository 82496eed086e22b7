"""Routes: who hears of an event of a ticket. Pure: routes, the ticket's facts, the time and the calendars decide.

Routes are tried in their order. One that matches sends on to its channels, and calls whom it names; the next ones are
tried only if it says so. An event that no route matches goes to the default channels: the console, to begin with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from tocsin.kit.calendar import Calendar, is_open
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.notify.message import Kind
from tocsin.oncall.references import Reference, Referred
from tocsin.query.errors import QueryError
from tocsin.query.letters import fold
from tocsin.query.parse import parse
from tocsin.query.predicate import Attributes, compile_predicate, text_matcher
from tocsin.query.tree import And, Everything, Exists, Leaf, Named, Node, Not, Or
from tocsin.tickets.fields import TICKETS

CONSOLE: Final = "console"
ALWAYS: Final = "always"
WITHIN: Final = "within"
OUTSIDE: Final = "outside"
MAX_CHANNELS: Final = 20
ROUTABLE: Final = tuple(kind for kind in Kind if kind not in {Kind.CODE, Kind.TEST, Kind.PAGE})
DEFAULT_KINDS: Final = (Kind.OPENED, Kind.REOPENED, Kind.ACKNOWLEDGED, Kind.RESOLVED)
_NAMED: Final = {
    "escalation_policy": Referred.ESCALATION_POLICY,
    "schedule": Referred.SCHEDULE,
    "page_team": Referred.TEAM,
    "calendar": Referred.CALENDAR,
}
CALLS: Final = frozenset({Kind.OPENED, Kind.REOPENED, Kind.SLA})  # what people are called for


@dataclass(frozen=True, slots=True)
class Route:
    """What is about (`query`, `kinds`, a `team`'s tickets, `within` or `outside` of a calendar) goes to `channels`;
    an escalation policy begins, and whoever is on call in a schedule, or in a team, is called once."""

    name: str
    version: int = 0
    place: int = 0
    query: str = ""
    kinds: tuple[Kind, ...] = DEFAULT_KINDS
    team: str | None = None
    calendar: str | None = None
    when: str = ALWAYS
    channels: tuple[str, ...] = ()
    escalation_policy: str | None = None
    schedule: str | None = None
    page_team: str | None = None
    goes_on: bool = False
    enabled: bool = True
    description: str = ""

    def definition(self) -> dict[str, Any]:
        """What it says, as JSON values."""
        values = {name: getattr(self, name) for name in DEFINED}
        return values | {"kinds": [kind.value for kind in self.kinds], "channels": list(self.channels)}

    def references(self) -> tuple[Reference, ...]:
        """All that it leads to, and the calendar it goes by."""
        found = [Reference(Referred.CHANNEL, one, f"/channels/{place}") for place, one in enumerate(self.channels)]
        for field_name, kind in _NAMED.items():
            name = getattr(self, field_name)
            if name is not None:
                found.append(Reference(kind, name, f"/{field_name}"))
        return tuple(found)


DEFINED: Final = tuple(f.name for f in fields(Route) if f.name not in {"name", "version", "place"})


def route_of(name: str, definition: Mapping[str, Any], *, version: int = 0, place: int = 0) -> Route:
    """The route that `definition()` of it says."""
    values = {field: definition[field] for field in DEFINED if field in definition}
    values |= {"kinds": tuple(Kind(text) for text in values.get("kinds", DEFAULT_KINDS))}
    values |= {"channels": tuple(values.get("channels", ()))}
    return Route(name=name, version=version, place=place, **values)


def check(route: Route, now: datetime) -> None:
    """Raises Invalid, with all that is wrong."""
    errors: list[FieldError] = []
    try:
        parse(route.query, TICKETS, now=now)
    except QueryError as error:
        errors += [FieldError("/query", str(error.facts["detail"]))]
    if route.when not in {ALWAYS, WITHIN, OUTSIDE}:
        errors.append(FieldError("/when", "expected always, within or outside"))
    elif (route.when == ALWAYS) != (route.calendar is None):
        errors.append(FieldError("/calendar", "a calendar goes with `when` within or outside, and they with one"))
    if not route.kinds:
        errors.append(FieldError("/kinds", "expected at least one"))
    errors += [
        FieldError(f"/kinds/{place}", f"no route is about {kind.value}")
        for place, kind in enumerate(route.kinds)
        if kind not in ROUTABLE
    ]
    if len(route.channels) > MAX_CHANNELS:
        errors.append(FieldError("/channels", f"expected at most {MAX_CHANNELS}"))
    calls = [name for name in ("escalation_policy", "schedule", "page_team") if getattr(route, name) is not None]
    if calls and not CALLS & set(route.kinds):
        kinds = ", ".join(sorted(CALLS))
        errors.append(FieldError(f"/{calls[0]}", f"people are called for {kinds} only; `kinds` has none of them"))
    if not calls and not route.channels and route.goes_on:
        errors.append(FieldError("/channels", "a route that leads nowhere and goes on does nothing"))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a route looks at in a ticket. `columns` are those that a ticket is kept in, instants as microseconds; its
    tags and the state of its clocks stand apart. Without columns it is about Tocsin itself."""

    columns: Mapping[str, str | float | bool | None]
    tags: tuple[str, ...] = ()
    sla: str | None = None

    def get(self, field: str) -> str | float | bool | None:
        return self.sla if field == "sla" else self.columns.get(field)

    def attributes(self) -> Attributes:
        return {}


Test = Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Tried:
    """A route, whether it matched, and why or why not, in words."""

    route: Route
    matched: bool
    why: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Which routes were tried, and what those that matched lead to; each channel and policy once, by its first."""

    tried: tuple[Tried, ...]
    channels: Mapping[str, str | None] = field(default_factory=dict)  # by channel, the route; None: no route matched
    policies: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)

    @property
    def matched(self) -> tuple[str, ...]:
        return tuple(one.route.name for one in self.tried if one.matched)

    @property
    def failed(self) -> tuple[Tried, ...]:
        return tuple(one for one in self.tried if one.error is not None)


def decide(
    routes: Sequence[Route],
    facts: Facts,
    kind: Kind,
    now: datetime,
    *,
    calendars: Mapping[str, Calendar],
    default: Sequence[str] = (CONSOLE,),
) -> Decision:
    """Who hears of it; what no route is about goes to the `default` channels, and so does what a route was about that
    can't be worked out."""
    tried: list[Tried] = []
    for route in sorted(routes, key=lambda one: (one.place, one.name)):
        found = _try(route, facts, kind, now, calendars)
        tried.append(found)
        if found.matched and not route.goes_on:
            break
    matched = [one.route for one in tried if one.matched]
    channels: dict[str, str | None] = _firsts(matched, lambda route: route.channels)
    if not matched or any(one.error is not None for one in tried):
        for channel in default:
            channels.setdefault(channel, None)
    if kind not in CALLS:
        return Decision(tuple(tried), channels)
    return Decision(
        tuple(tried),
        channels,
        policies=_firsts(matched, lambda route: (route.escalation_policy,)),
        schedules=_firsts(matched, lambda route: (route.schedule,)),
        teams=_firsts(matched, lambda route: (route.page_team,)),
    )


def _firsts(matched: Sequence[Route], names_of: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for route in matched:
        for name in names_of(route):
            if name is not None:
                found.setdefault(name, route.name)
    return found


def _try(route: Route, facts: Facts, kind: Kind, now: datetime, calendars: Mapping[str, Calendar]) -> Tried:
    try:
        why_not = _why_not(route, facts, kind, now, calendars)
    except Exception as error:  # noqa: BLE001  # it was kept by another program, or by hand: others go on
        return Tried(route, False, "it can't be worked out", f"{type(error).__name__}: {error}")
    return Tried(route, why_not is None, _why(route, kind) if why_not is None else why_not)


def _why_not(route: Route, facts: Facts, kind: Kind, now: datetime, calendars: Mapping[str, Calendar]) -> str | None:
    if not route.enabled:
        return "it is switched off"
    if kind not in route.kinds:
        return f"it is not about {kind.value}"
    if route.team is not None and fold(str(facts.get("team") or "")) != fold(route.team):
        return f"the ticket is not of team {route.team}"
    return _out_of_hours(route, now, calendars) or _not_asked_for(route, facts, now)


def _out_of_hours(route: Route, now: datetime, calendars: Mapping[str, Calendar]) -> str | None:
    if route.calendar is None:
        return None
    calendar = calendars.get(route.calendar)
    if calendar is None:
        raise LookupError(f"there is no calendar {route.calendar}")
    if is_open(now, calendar) == (route.when == WITHIN):
        return None
    return f"it is {'outside' if route.when == WITHIN else 'within'} the hours of calendar {route.calendar}"


def _not_asked_for(route: Route, facts: Facts, now: datetime) -> str | None:
    if not route.query:
        return None
    if not facts.columns:
        return "it asks for tickets, and this is not about one"
    return None if _meets(route.query, now, facts) else f"the ticket does not meet {route.query}"


def _why(route: Route, kind: Kind) -> str:
    said = [f"about {kind.value}"]
    said += [f"of team {route.team}"] if route.team is not None else []
    said += [f"{route.when} the hours of calendar {route.calendar}"] if route.calendar is not None else []
    said += [f"meets {route.query}"] if route.query else []
    return ", ".join(said)


def _meets(query: str, now: datetime, facts: Facts) -> bool:
    return _test_of(query, now.replace(second=0, microsecond=0))(facts)


@lru_cache(maxsize=1024)
def _test_of(query: str, minute: datetime) -> Test:
    """Times such as `opened_at:>1h` are reckoned from the minute."""
    return test_of(parse(query, TICKETS, now=minute))


def test_of(node: Node) -> Test:
    """Whether a ticket meets a query, as a function. It has several tags: one that meets a condition will do."""
    match node:
        case And(parts) | Or(parts):
            tests, enough = [test_of(part) for part in parts], all if isinstance(node, And) else any
            return lambda facts: enough(test(facts) for test in tests)
        case Not(part):
            inner = test_of(part)
            return lambda facts: not inner(facts)
        case Everything():
            return lambda _: True
    return _tag_test(node) if node.target == Named("tag") else compile_predicate(node, TICKETS)


def _tag_test(leaf: Leaf) -> Test:
    if isinstance(leaf, Exists):
        return lambda facts: bool(facts.tags)
    matches = text_matcher(leaf)
    return lambda facts: any(map(matches, facts.tags))


def facts_of(values: Mapping[str, Any]) -> Facts:
    """The facts of a ticket that is only described: names as in the filter language, the priority by its name."""
    columns = {name: value for name, value in values.items() if name not in {"tags", "sla", "priority"}}
    priority = values.get("priority")
    columns["priority"] = None if priority is None else int(Priority[str(priority)])
    return Facts({"status": "OPEN", **columns}, tuple(values.get("tags", ())), values.get("sla"))
