"""GET /alerts and GET /alerts/{id}."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from tocsin.alerts import service as alerts
from tocsin.alerts.store import Alert, AlertQuery
from tocsin.kit.priorities import Priority
from tocsin.logs.levels import Level
from tocsin.web.schemas import AlertOut, AlertPageOut, InstantIn, ProblemOut, QueryIn, Word
from tocsin.web.services import Services, services

router = APIRouter(tags=["alerts"])
Id = Annotated[int, Path(ge=1, le=2**53)]


class AlertQueryIn(QueryIn):
    status: Literal["firing", "suppressed", "resolved"] | None = Field(None, description="All by default.")
    service: Word | None = Field(None, description="The exact name of a service.", examples=["payments"])
    rule: Word | None = Field(None, description="The exact name of a rule.", examples=["critical-logs"])
    ticket_id: int | None = Field(None, ge=1, le=2**53, description="Only those of this ticket.", examples=[12])
    suppressed_by: str | None = Field(
        None,
        pattern=r"^(silence|storm|inhibition|flap)(:[0-9]{1,16})?$",
        description="What keeps it from people, as on alerts; a kind alone stands for all of it.",
        examples=["storm:12", "silence"],
    )
    since: InstantIn | None = Field(None, description="Opened then or later.", examples=["1h"])


def alert_out(alert: Alert) -> AlertOut:
    """An alert as the API shows it."""
    last = [] if alert.last_record_id in {0, *alert.samples} else [alert.last_record_id]
    return AlertOut(
        id=alert.id,
        status=alert.status,
        suppressed_by=alert.suppressed_by,
        rule=alert.rule,
        rule_version=alert.rule_version,
        fingerprint=alert.fingerprint,
        service=alert.service,
        title=alert.title,
        template=alert.template,
        pattern_id=alert.pattern_id,
        pattern=alert.pattern,
        level=Level(alert.level).name,
        priority=Priority(alert.priority).name,
        count=alert.count,
        first_seen_at=alert.first_seen_at,
        last_seen_at=alert.last_seen_at,
        opened_at=alert.opened_at,
        ended_at=alert.ended_at,
        ticket_id=alert.ticket_id,
        sample_log_ids=[*alert.samples, *last],
    )


@router.get("/alerts", summary="Find alerts, newest first")
def find_alerts(query: Annotated[AlertQueryIn, Query()], with_: Annotated[Services, Depends(services)]) -> AlertPageOut:
    """Alerts by the time they opened, newest first. `since` is that time, included."""
    wanted = query.reckoned(with_.clock.now())
    found, cursor = alerts.find(with_.database, AlertQuery(**wanted))
    return AlertPageOut(items=[alert_out(alert) for alert in found], next=cursor)


@router.get("/alerts/{id}", summary="One alert", responses={404: {"model": ProblemOut}})
def get_alert(id: Id, with_: Annotated[Services, Depends(services)]) -> AlertOut:  # noqa: A002
    """An alert with its exact count and sample records."""
    return alert_out(alerts.get(with_.database, id))
