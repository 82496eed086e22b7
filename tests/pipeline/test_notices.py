"""What people hear of Tocsin itself, and codes that verify a way to reach somebody."""

from collections.abc import Callable
from datetime import timedelta

from desk import ANA, Desk
from paged import asked_for, hire, put_on_call, save_route
from tocsin.notify.message import Kind
from tocsin.oncall import people_service, people_store, problem_service, schedule_service
from tocsin.oncall.people import MethodKind
from tocsin.oncall.restrictions import Restriction
from tocsin.oncall.schedules import Layer, Schedule
from tocsin.settings import Settings


def test_a_gap_in_a_schedule_is_told_to_whom_routes_name_and_else_to_the_console(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings)
    hire(desk, "ana")
    save_route(desk, "notices", kinds=["notice"], channels=["ops"])
    save_route(desk, "payments", kinds=["notice"], query="service:payments", channels=["pay"])
    put_on_call(desk, "primary", "ana")
    put_on_call(desk, "primary")
    desk.clock.advance(seconds=60)
    desk.run_due_timers()
    [gap] = asked_for(desk, Kind.NOTICE)
    assert (gap.channel, gap.facts["title"]) == ("ops", "Nobody is on call: primary")


def test_all_gaps_that_one_change_makes_are_one_notice_and_the_metrics_count_the_schedule(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings)

    def unattended(**ahead: float) -> int:
        return desk.database.read(lambda tx: problem_service.unattended(tx, timedelta(**ahead)))

    hire(desk, "ana")
    put_on_call(desk, "calm", "ana")
    restricted = Layer("days", (("ana",),), restrictions=(Restriction(times=((0, 12 * 60),)),))  # from 0 to 12
    days = Schedule("UTC", (restricted,))
    desk.database.write(lambda tx: schedule_service.save(tx, "days", days), actor=ANA)
    desk.run_due_timers()
    gaps = desk.events(kind="ScheduleGapFound")
    [told] = asked_for(desk, Kind.NOTICE)
    title, *spans = told.facts["text"].splitlines()
    assert (len(gaps), title, len(spans)) == (7, "By schedule days nobody is on call:", 7)
    assert spans[0] == "from 2026-11-24T12:00:00Z to 2026-11-25T00:00:00Z"
    assert (unattended(), unattended(hours=9), unattended(days=1)) == (0, 0, 1), "it is 02:21"
    desk.clock.advance(hours=10)
    assert unattended() == 1
    put_on_call(desk, "days", "ana")
    desk.run_due_timers()
    assert (unattended(), len(asked_for(desk, Kind.NOTICE))) == (0, 1)
    desk.database.write(lambda tx: schedule_service.save(tx, "days", days), actor=ANA)
    desk.run_due_timers()
    assert (unattended(), len(asked_for(desk, Kind.NOTICE))) == (1, 2), "what is back is told of again"
    desk.database.write(lambda tx: schedule_service.remove(tx, "days"), actor=ANA)
    assert unattended(days=1) == 0


def test_a_code_goes_by_the_very_way_that_it_is_to_verify(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settings)
    hire(desk, "ana")
    method = desk.database.write(
        lambda tx: people_service.add_method(tx, "ana", MethodKind.SMS, "+351912345679"), actor=ANA
    )
    desk.database.write(lambda tx: people_service.ask_code(tx, "ana", method.id), actor=ANA)
    [code] = asked_for(desk, Kind.CODE)
    assert (code.person, code.method_id, code.facts) == ("ana", method.id, {"method_id": method.id})
    said = desk.database.read(lambda tx: people_store.code_to_send(tx, method.id)) or ""
    verdict = desk.database.write(lambda tx: people_service.try_code(tx, "ana", method.id, said), actor=ANA)
    assert verdict == "right"
