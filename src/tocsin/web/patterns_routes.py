"""Patterns over HTTP: find, read, merge, split, undo."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from tocsin.alerts import patterns
from tocsin.alerts.merging import Change
from tocsin.alerts.patterns import Detail, PatternQuery, Shown
from tocsin.web.schemas import In, InstantIn, Out, ProblemOut, QueryIn, Reckoned, Template, Word
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["patterns"])
Id = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_CHANGES: Final[dict[int | str, dict[str, Any]]] = {
    **_MISSING,
    409: {"model": ProblemOut, "description": "There is nothing to change: it is so already"},
}


class TrendOut(Out):
    """How a pattern's records are spread over a time, on whole hours."""

    since: datetime
    until: datetime
    interval_s: float
    counts: list[int] = Field(description="Records by interval, the oldest first.")
    recent: int = Field(description="Records in the later half.")
    before: int = Field(description="Records in the earlier half.")


class ExampleOut(Out):
    log_id: int | None = Field(description="The first record that was counted; retention may have let go of it.")
    message: str = Field(description="Its message, up to 2,000 characters.")


class PatternOut(Out):
    """Messages of one kind. Records are counted when they leave the hot chunks: after 10 minutes at most."""

    id: int
    template: str = Field(examples=["connection to <*> lost after <*> ms"])
    count: int = Field(description="Of the service and the time that were asked for; else all.")
    trend: TrendOut
    first_seen_at: datetime = Field(description="Event time of any of its records.")
    last_seen_at: datetime
    services: list[str] = Field(description="At most 50 and those of merged patterns.")
    example: ExampleOut


class PatternPageOut(Out):
    items: list[PatternOut]
    next: str | None


class HourOut(Out):
    at: datetime
    count: int


class AliasOut(Out):
    """A pattern that another one stands for."""

    id: int
    template: str
    count: int


class PatternChangeOut(Out):
    """A merge or split by hand: `pattern_id` was merged into, or split from, `into_id`."""

    id: int
    kind: str = Field(description="`merge` or `split`.", examples=["merge"])
    pattern_id: int
    into_id: int
    actor: str
    at: datetime
    undone_at: datetime | None
    undone_by: str | None


class PatternDetailOut(PatternOut):
    """A pattern with its expression, its counts and its history."""

    regex: str | None = Field(
        description="RE2; matches messages whole, also more lines than one. Tried on the example; null if that failed."
    )
    hours: list[HourOut] = Field(description="Hours with records; by days what is older than a week.")
    by_service: dict[str, int]
    aliases: list[AliasOut] = Field(description="What it stands for beside itself.")
    changes: list[PatternChangeOut] = Field(description="Merges and splits by hand, the oldest first.")


class MergeIn(In):
    into: int = Field(ge=1, le=2**53, description="The pattern that stands for both from then on.", examples=[7])


class SplitIn(In):
    template: Template = Field(
        description="A template more special than the pattern's, with `<*>` for what varies, or a message as it is.",
        examples=["connection to db-7 lost after <*> ms"],
    )


class PatternQueryIn(QueryIn):
    q: Word | None = Field(None, description="Found in the template, in any case.", examples=["connection"])
    service: Word | None = Field(None, description="The exact name of a service.", examples=["payments"])
    since: InstantIn | None = Field(None, description="Event time, on whole hours, included.", examples=["24h"])
    until: InstantIn | None = Field(None, description="Excluded.")
    sort: Literal["count", "newest", "trend"] = "count"


class DetailQueryIn(Reckoned):
    since: InstantIn | None = Field(None, description="Of the trend and the hours; a week by default.")
    until: InstantIn | None = Field(None, description="Excluded.")


def _fields(shown: Shown) -> dict[str, Any]:
    summary, window = shown.summary, shown.window
    pattern = summary.pattern
    return {
        "id": pattern.id,
        "template": pattern.template,
        "count": summary.count,
        "trend": TrendOut(
            since=window.since,
            until=window.until,
            interval_s=shown.bar_s,
            counts=shown.bars,
            recent=shown.recent,
            before=shown.before,
        ),
        "first_seen_at": summary.first_seen_at,
        "last_seen_at": summary.last_seen_at,
        "services": shown.services,
        "example": ExampleOut(log_id=pattern.example_id, message=pattern.example),
    }


def _detail(found: Detail) -> PatternDetailOut:
    return PatternDetailOut(
        **_fields(found.shown),
        regex=found.regex,
        hours=[HourOut(at=at, count=n) for at, n in found.shown.hours.items()],
        by_service=found.by_service,
        aliases=[AliasOut(id=one.id, template=one.template, count=one.records) for one in found.aliases],
        changes=[PatternChangeOut.model_validate(change) for change in found.changes],
    )


def _answer(change: Change, status: int) -> Response:
    content = PatternChangeOut.model_validate(change).model_dump_json()
    return Response(content, status, media_type="application/json")


@router.get("/patterns", summary="Which kinds of messages there are")
def find_patterns(query: Annotated[PatternQueryIn, Query()], with_: With) -> PatternPageOut:
    """Patterns of all records, whether a rule matches them or not, with their counts.

    `sort` is `count`, `newest` (first seen last) or `trend` (what grew most: the later half of the time against the
    earlier one). Without `since` and `until` the trend is that of 24 hours and the count that of all time.
    """
    wanted = query.reckoned(with_.clock.now())
    found, cursor = patterns.find(with_.database, PatternQuery(text=wanted.pop("q"), **wanted))
    return PatternPageOut(items=[PatternOut(**_fields(shown)) for shown in found], next=cursor)


@router.get("/patterns/{id}", summary="One pattern", responses=_MISSING)
def get_pattern(id: Id, query: Annotated[DetailQueryIn, Query()], with_: With) -> PatternDetailOut:  # noqa: A002
    """A pattern with its regular expression, all its counts and its history.

    For one that was merged, what stands for it is answered.
    """
    return _detail(patterns.get(with_.database, id, **query.reckoned(with_.clock.now())))


@router.post(
    "/patterns/{id}/merge",
    status_code=201,
    response_model=PatternChangeOut,
    summary="Merge a pattern into another one",
    responses=_CHANGES,
)
def merge_pattern(id: Id, merging: MergeIn, at: AtDesk) -> Response:  # noqa: A002
    """Both are shown and counted as `into`, with what comes later too. Alerts that are open keep their fingerprints."""
    return at.write(lambda tx: _answer(patterns.merge(tx, id, merging.into), 201))


@router.post(
    "/patterns/{id}/split",
    status_code=201,
    response_model=PatternChangeOut,
    summary="Split a pattern",
    responses=_CHANGES,
)
def split_pattern(id: Id, splitting: SplitIn, at: AtDesk) -> Response:  # noqa: A002
    """Messages that match the template are a pattern of their own (`pattern_id`) from now on.

    What was counted before stays where it was, unless it was counted with this very template.
    """
    return at.write(lambda tx: _answer(patterns.split(tx, id, splitting.template), 201))


@router.post(
    "/patterns/undo/{id}",
    response_model=PatternChangeOut,
    summary="Undo a merge or split",
    responses=_CHANGES,
)
def undo_change(id: Id, at: AtDesk) -> Response:  # noqa: A002
    """Everything is shown as if the change had not been made; changes made after it hold."""
    return at.write(lambda tx: _answer(patterns.undo(tx, id), 200))
