"""Stories of escalations when things come together badly: nobody is there, two things at once, a backlog."""

from collections.abc import Callable
from typing import Any

import pytest

from desk import ANA, Desk, critical
from paged import asked_for, hire, paged, put_on_call, save_policy, save_route
from tocsin.kit.actors import Actor
from tocsin.notify.message import Kind
from tocsin.settings import Settings

OPS = Actor("local", "ops")


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    """Any ticket pages ana, then rui."""
    found = open_desk(settings)
    hire(found, "ana", "rui", "eva")
    save_policy(found, "pay", ("user:ana", 300), ("user:rui", 300))
    save_route(found, escalation_policy="pay")
    return found


def act(desk: Desk, what: Callable[..., Any], ticket_id: int = 1, *, actor: Actor = ANA, **how: Any) -> Any:
    return desk.database.write(lambda tx: what(tx, ticket_id, **how), actor=actor)


def test_where_nobody_at_all_is_called_the_default_channels_are(desk: Desk) -> None:
    put_on_call(desk, "primary")
    save_policy(desk, "pay", ("schedule:primary", 300), ("channel:gone", 300))
    desk.post(critical())
    assert [(one.channel, one.why["step"]) for one in asked_for(desk, Kind.PAGE)] == [("console", 2)]
    assert "nobody else is there to be called" in asked_for(desk, Kind.PAGE)[0].why["why"]
    assert len(desk.events(kind="NobodyOnCall")) == 2


def test_a_channel_that_is_gone_or_switched_off_reaches_nobody(desk: Desk) -> None:
    desk.save_channel("off", "console", enabled=False)
    desk.save_channel("helped", "console", enabled=False, fallback="console")
    save_policy(desk, "pay", ("channel:gone", "channel:off", 300), ("channel:helped", 300), fallback="user:eva")
    desk.post(critical())
    assert paged(desk) == ["eva"]
    desk.idle(seconds=310, step_s=310)
    assert [one.channel for one in asked_for(desk, Kind.PAGE) if one.channel] == ["helped"]
