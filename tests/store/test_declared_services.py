"""Declared services in the database: made, replaced, removed; rings and chains; the same on SQLite and PostgreSQL."""

from collections.abc import Callable

import pytest

from desk import ANA, Desk, critical, in_threads
from tocsin.alerts import declaration_service as declared
from tocsin.alerts import declaration_store as store
from tocsin.alerts.declaration_service import ServiceQuery
from tocsin.alerts.declarations import MAX_STEPS, Declaration
from tocsin.kit.errors import Invalid, NotFound, PreconditionFailed
from tocsin.settings import Settings


def names(desk: Desk, **wanted: object) -> list[str]:
    found, cursor = declared.find(desk.database, ServiceQuery(**wanted))  # type: ignore[arg-type]
    assert cursor is None
    return [row.declaration.name for row in found]


def test_a_service_is_found_in_any_spelling_and_there_is_one_of_them(desk: Desk) -> None:
    desk.declare("Zürich/API", depends_on=["postgres"], team="web", tier=1)
    desk.declare("zÜRICH/api", depends_on=["postgres"], team="web", tier=1)
    row = desk.database.read(lambda tx: declared.get(tx, "ZÜRICH/Api"))
    assert row.declaration == Declaration("zÜRICH/api", "web", 1, ("postgres",))
    assert [event.data["after"] for event in desk.events(kind="ServiceSaved")][1:] == [{"name": "zÜRICH/api"}]


def test_what_changes_nothing_makes_no_version_and_no_event(desk: Desk) -> None:
    first, is_new = desk.declare("web", depends_on=["b", "a"])
    again, is_new_again = desk.declare("web", depends_on=["a", "b"])
    assert (is_new, is_new_again, first) == (True, False, again)
    assert desk.kinds("service:web") == ["ServiceSaved"]


def test_a_version_never_comes_again(desk: Desk) -> None:
    first, _ = desk.declare("web")
    desk.database.write(lambda tx: declared.remove(tx, "WEB"), actor=ANA)
    with pytest.raises(NotFound):
        desk.database.read(lambda tx: declared.get(tx, "web"))
    second, is_new = desk.declare("web")
    assert is_new
    assert second.version > first.version
    with pytest.raises(PreconditionFailed):
        desk.database.write(lambda tx: declared.remove(tx, "web", seen_version=first.version), actor=ANA)


def test_services_are_found_by_team_tier_and_what_they_depend_on_in_pages(desk: Desk) -> None:
    desk.declare("b", team="x", tier=1, depends_on=["DB"])
    desk.declare("A", team="x", tier=2, depends_on=["db", "c"])
    desk.declare("c", team="y")
    assert names(desk) == ["A", "b", "c"]
    assert (names(desk, team="x"), names(desk, tier=1), names(desk, depends_on="dB")) == (["A", "b"], ["b"], ["A", "b"])
    first, cursor = declared.find(desk.database, ServiceQuery(limit=2))
    rest, end = declared.find(desk.database, ServiceQuery(limit=2, cursor=cursor))
    assert ([row.declaration.name for row in first + rest], end) == (["A", "b", "c"], None)


def test_a_ring_is_refused_and_named(desk: Desk) -> None:
    desk.declare("api", depends_on=["Postgres"])
    desk.declare("web", depends_on=["API"])
    with pytest.raises(Invalid) as refused:
        desk.declare("postgres", depends_on=["cache", "Web"])
    assert "makes a ring: postgres → Web → api → postgres" in str(refused.value)
    desk.declare("api")
    desk.declare("postgres", depends_on=["cache", "Web"])


def test_a_chain_is_no_longer_than_what_is_looked_through(desk: Desk) -> None:
    for n in range(MAX_STEPS // 2):
        desk.declare(f"low-{n}", depends_on=[f"low-{n + 1}"])
        desk.declare(f"up-{n}", depends_on=[f"up-{n + 1}"])
    with pytest.raises(Invalid) as refused:
        desk.declare(f"up-{MAX_STEPS // 2}", depends_on=["low-0"])
    assert f"makes a chain of {MAX_STEPS + 1} dependencies" in str(refused.value)
    desk.declare(f"up-{MAX_STEPS // 2}", depends_on=["low-1"])


def test_relatives_are_told_with_the_shortest_way_also_those_that_nobody_declared(desk: Desk) -> None:
    desk.declare("web", depends_on=["api", "cdn"], team="shop", tier=1)
    desk.declare("api", depends_on=["Postgres"])
    desk.declare("mobile", depends_on=["api", "postgres"])
    above, below = desk.database.read(lambda tx: declared.relatives(tx, "api"))
    assert [(one.name, one.declared, one.steps, one.way) for one in above] == [
        ("Postgres", False, 1, ("api", "Postgres"))
    ]
    assert [(one.name, one.team, one.tier, one.steps) for one in below] == [
        ("mobile", None, None, 1),
        ("web", "shop", 1, 1),
    ]
    above, _ = desk.database.read(lambda tx: declared.relatives(tx, "web"))
    assert [(one.name, one.steps) for one in above] == [("api", 1), ("cdn", 1), ("Postgres", 2)]
    assert desk.database.read(lambda tx: store.dependants(tx, "postgres")) == ["api", "mobile"]


def test_a_removed_service_is_still_depended_on(desk: Desk) -> None:
    desk.declare("web", depends_on=["db"])
    desk.declare("db", depends_on=["disk"])
    desk.database.write(lambda tx: declared.remove(tx, "db"), actor=ANA)
    above, _ = desk.database.read(lambda tx: declared.relatives(tx, "web"))
    assert [(one.name, one.declared) for one in above] == [("db", False)]


def test_declarations_that_would_make_a_ring_together_are_not_both_saved(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(settings) for _ in range(1 if settings.database_secret is None else 2)]
    pairs = [("a", "b"), ("b", "c"), ("c", "a")]
    works = [
        lambda n=n, one=one, up=up: desks[n % len(desks)].declare(one, depends_on=[up])
        for n, (one, up) in enumerate(pairs)
    ]
    outcomes = in_threads(*works)
    assert [type(one).__name__ for one in outcomes if isinstance(one, Exception)] == ["Invalid"]


def test_open_alerts_know_their_service_in_any_spelling(desk: Desk) -> None:
    desk.post(critical(service="ZÜRICH"))
    assert desk.alert.service == "ZÜRICH"
