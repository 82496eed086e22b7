"""What people hear of Tocsin itself, and codes that verify a way to reach somebody."""

from collections.abc import Callable

from desk import ANA, Desk
from paged import asked_for, hire, put_on_call, save_route
from tocsin.notify.message import Kind
from tocsin.oncall import people_service, people_store
from tocsin.oncall.people import MethodKind
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
