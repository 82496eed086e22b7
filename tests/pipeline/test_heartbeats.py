"""Heartbeats: a job that checks in is watched by an ordinary rule, and is late before it is down."""

import pytest

from desk import ANA, START, Desk
from tocsin.alerts import heartbeat_service as heartbeats
from tocsin.alerts.heartbeat_service import Watched
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.kit.errors import Conflict, Invalid, NotFound
from tocsin.kit.priorities import Priority
from tocsin.logs.intake import Stored
from tocsin.proof.ledger import verify
from tocsin.storage.idempotency import Answer

BACKUP = Heartbeat("backup", interval_s=600, grace_s=120, priority=Priority.P2, description="Nightly.")


def saved(desk: Desk, heartbeat: Heartbeat = BACKUP) -> Watched:
    return desk.database.write(lambda tx: heartbeats.save(tx, heartbeat)[0], actor=ANA)


def check_in(desk: Desk, name: str = "backup") -> None:
    def answer(stored: Stored) -> Answer:
        return Answer(201, {}, b"")

    heartbeats.ensure(desk.database, Heartbeat(name), actor=ANA)
    heartbeats.check_in(
        desk.database, desk.intake, name, message="checked in", actor=ANA, keyed=None, answer=answer
    )  # fmt: skip


def seen(desk: Desk, name: str = "backup") -> Watched:
    return desk.database.read(lambda tx: heartbeats.get(tx, name))


def state(desk: Desk) -> str:
    return seen(desk).pulse.state.value


def test_it_waits_is_up_late_and_down_and_up_again_with_the_next_check_in(desk: Desk) -> None:
    saved(desk)
    assert state(desk) == "waiting"
    desk.idle(seconds=60)
    check_in(desk)
    assert (state(desk), seen(desk).pulse.last_record_id) == ("up", desk.logs[0].id)
    desk.idle(seconds=599)
    assert state(desk) == "up"
    desk.idle(seconds=1)
    assert (state(desk), desk.tickets) == ("late", [])
    desk.idle(seconds=125)
    assert (state(desk), seen(desk).ticket_id, seen(desk).alert_id) == ("down", 1, 1)
    assert (desk.ticket.title, desk.ticket.priority) == ("Nothing from backup for 12 min", 2)
    check_in(desk)
    assert (state(desk), seen(desk).ticket_id, desk.ticket.status) == ("up", None, "RESOLVED")
    assert verify(desk.database, desk.reader, START, desk.clock.now()).balanced


def test_one_that_never_checks_in_is_down_too(desk: Desk) -> None:
    saved(desk)
    desk.idle(seconds=725)
    assert (state(desk), len(desk.tickets)) == ("down", 1)
    assert "there never was a sign of life" in desk.ticket.description


def test_the_first_check_in_makes_it_and_is_a_record_like_any_other(desk: Desk) -> None:
    check_in(desk, "etl.daily")
    found = seen(desk, "etl.daily")
    assert (found.heartbeat.interval_s, found.heartbeat.grace_s, found.row.updated_by) == (86_400, 3_600, str(ANA))
    [record] = desk.logs
    assert (record.service, record.source, record.level) == ("etl.daily", "heartbeat", "INFO")
    assert desk.verdicts("heartbeat-etl.daily") == {"pending": 1}
    check_in(desk, "etl.daily")
    assert seen(desk, "etl.daily").row.rule.version == 1


def test_what_is_changed_of_its_rule_stays_when_it_is_saved_again(desk: Desk) -> None:
    rule = saved(desk).row.rule
    desk.save_rule(
        rule.name, rule.condition, kind=rule.kind, window_s=rule.window_s, group_by=(), labels=rule.labels,
        service="backup", reopen_window_s=5, enabled=False,
    )  # fmt: skip
    assert state(desk) == "paused"
    found = saved(desk, Heartbeat("backup", interval_s=300, grace_s=0))
    assert (found.row.rule.reopen_window_s, found.row.rule.enabled, found.row.rule.window_s) == (5, False, 300)


def test_names_and_numbers_that_can_not_be_are_refused(desk: Desk) -> None:
    for heartbeat, pointer in (
        (Heartbeat("No"), "/name"),
        (Heartbeat("a" * 81), "/name"),
        (Heartbeat("x", interval_s=59), "/interval_s"),
        (Heartbeat("x", interval_s=366 * 86_400, grace_s=1), "/grace_s"),
    ):
        with pytest.raises(Invalid) as refused:
            saved(desk, heartbeat)
        assert [error.pointer for error in refused.value.errors] == [pointer]
    desk.save_rule("heartbeat-x", "level:ERROR")
    with pytest.raises(Conflict, match="is no heartbeat"):
        check_in(desk, "x")
    with pytest.raises(NotFound):
        seen(desk, "x")


def test_they_are_listed_by_name_and_other_rules_are_not_among_them(desk: Desk) -> None:
    for name in ("b", "a", "c"):
        saved(desk, Heartbeat(name))
    desk.save_rule("heartbeats", "level:ERROR")
    first, cursor = heartbeats.find(desk.database, cursor=None, limit=2)
    rest, end = heartbeats.find(desk.database, cursor=cursor, limit=2)
    assert [one.heartbeat.name for one in first + rest] == ["a", "b", "c"]
    assert end is None
    desk.database.write(lambda tx: heartbeats.remove(tx, "b"), actor=ANA)
    assert len(heartbeats.find(desk.database, cursor=None, limit=5)[0]) == 2
