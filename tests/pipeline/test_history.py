"""Time travel: whatever people, alerts and timers do, a ticket's events add up to its row, now and then."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from desk import ANA, RUI, Desk, critical
from tocsin.alerts import store as alert_store
from tocsin.kit.errors import Conflict, Invalid, NotFound
from tocsin.kit.priorities import Priority
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import (
    history_service,
    link_service,
    link_store,
    merge_service,
    sla,
    sla_service,
    split_service,
    store,
)
from tocsin.tickets import service as tickets
from tocsin.tickets.history import Past
from tocsin.tickets.links import SAID
from tocsin.tickets.policies import Policy
from tocsin.tickets.service import NO_RESOLUTION, Resolution
from tocsin.tickets.split_service import Parting
from tocsin.tickets.store import TicketQuery
from tocsin.tickets.workflow import Status, allowed

SAME = ("title", "description", "service", "priority", "status", "assignee", "team", "tags", "impact", "urgency",
        "resolution_code", "resolution_note", "closed_at", "reopen_count", "hold_reason", "late_s", "recurrence_of",
        "released_from", "merged_into", "split_from")  # fmt: skip
IN_FACTS = ("opened_at", "acknowledge_from", "acknowledged_at", "resolved_at", "held_since", "held_until")
_names = count()

statuses = st.sampled_from(list(Status))
steps = st.sampled_from([None, 1, 2, 3])
edits = st.fixed_dictionaries(
    {},
    optional={
        "assignee": st.sampled_from([None, "ana", "rui"]),
        "team": st.sampled_from([None, "shop"]),
        "title": st.sampled_from(["it is down", "it is slow"]),
        "tags": st.lists(st.sampled_from(["a", "B", "c"]), max_size=3),
        "impact": steps,
        "urgency": steps,
    },
)
said = st.sampled_from([NO_RESOLUTION, Resolution("fixed", "restarted"), Resolution("no fault")])
actions = st.one_of(
    st.tuples(st.just("move"), statuses, edits, said),
    st.tuples(st.just("go on"), said),
    st.tuples(st.just("go on"), said),
    st.tuples(st.just("prioritise"), st.sampled_from(list(Priority))),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("hold"), st.sampled_from([None, 60, 7200])),
    st.tuples(st.just("resume")),
    st.tuples(st.just("recalculate")),
    st.tuples(st.sampled_from(["link", "unlink"]), st.sampled_from(SAID)),
    st.tuples(st.sampled_from(["merge", "unmerge"])),
    st.tuples(st.sampled_from(["split", "unsplit"])),
    st.tuples(st.just("log")),
    st.tuples(st.just("wait"), st.sampled_from([30, 3600, 8 * 86_400])),
)


def go_on(tx: Tx, ticket_id: int, said: Resolution) -> None:
    """The next move, so that all of the lifecycle is met; what is resolved is reopened or closed."""
    status = tickets.get(tx, ticket_id).status
    if status is Status.RESOLVED and said == NO_RESOLUTION:
        tickets.reopen(tx, ticket_id, reason="it is back", assignee=None)
        return
    [after] = allowed(status) or [Status.CLOSED]
    resolution = said if after == Status.RESOLVED else NO_RESOLUTION
    tickets.change(tx, ticket_id, status=Status(after), edits={}, resolution=resolution)


def act(tx: Tx, ids: list[int], what: str, *how: Any) -> None:
    """Something a person does to the first ticket, with the second, or with the newest."""
    mine, other = ids[:2]
    does: dict[str, Callable[..., Any]] = {
        "move": lambda status, edits, said: tickets.change(
            tx, mine, status=status, edits=edits, resolution=said if status is Status.RESOLVED else NO_RESOLUTION
        ),
        "go on": lambda said: go_on(tx, mine, said),
        "prioritise": lambda priority: tickets.prioritise(tx, mine, priority),
        "reopen": lambda: tickets.reopen(tx, mine, reason="it is back", assignee=None),
        "hold": lambda lasts_s: tickets.hold(
            tx, mine, reason="waiting", until=None if lasts_s is None else tx.now + timedelta(seconds=lasts_s)
        ),
        "resume": lambda: tickets.resume(tx, mine),
        "recalculate": lambda: tickets.recalculate(tx, mine),
        "merge": lambda: merge_service.merge(tx, mine, other),
        "unmerge": lambda: merge_service.unmerge(tx, mine),
        "split": lambda: split_newest(tx, other),
        "unsplit": lambda: split_service.unsplit(tx, ids[-1]),
        "link": lambda kind: link_service.link(tx, mine, kind, other),
        "unlink": lambda kind: link_service.unlink(tx, mine, kind, other),
    }
    does[what](*how)


def split_newest(tx: Tx, ticket_id: int) -> None:
    """Give the newest alert of a ticket, with those of its key, to a new one."""
    found = alert_store.of_tickets(tx, ticket_id, limit=1000)
    going = [one.id for one in found if one.correlation_key == found[0].correlation_key]
    split_service.split(tx, ticket_id, Parting(going, "It is another one", "it differs"))


def of_service(desk: Desk, service: str) -> list[int]:
    query = TicketQuery(service=service, limit=100)
    return sorted(one.id for one in desk.database.read(lambda tx: store.page(tx, query, after=None, limit=100)))


def by_row(tx: ReadTx, ticket_id: int) -> dict[str, Any]:
    row = tickets.get(tx, ticket_id)
    facts = None if row.sla is None else sla.of_values(row.sla)
    links = {(one.kind, one.ticket_id) for one in link_store.of(tx, ticket_id, limit=1000)}
    return {name: getattr(row, name) for name in (*SAME, *IN_FACTS)} | {"facts": facts, "links": links}


def by_events(past: Past) -> dict[str, Any]:
    found = {name: getattr(past, name) for name in SAME} | {name: getattr(past.facts, name) for name in IN_FACTS}
    return found | {"facts": past.facts, "links": set(past.links)}


@given(done=st.lists(actions, min_size=5, max_size=20))
@example(done=[("wait", 30), ("merge",), ("split",), ("log",), ("unsplit",), ("log",), ("split",), ("wait", 3600)])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_tickets_events_give_its_row_now_and_as_it_was(desk: Desk, done: list[tuple[Any, ...]]) -> None:
    policy = Policy("all", 0, acknowledge_s=60, resolve_s=7200)
    desk.database.write(lambda tx: sla_service.save_policy(tx, policy), actor=ANA)
    service = f"shop-{next(_names)}"
    desk.post(critical(service=service), critical("disk full", service=service))
    seen: list[tuple[Any, dict[int, dict[str, Any]]]] = []
    for place, (what, *how) in enumerate(done):
        desk.clock.advance(seconds=how[0] if what == "wait" else 1)
        desk.run_due_timers()
        if what == "log":
            desk.post(critical(service=service))
        elif what != "wait":
            with suppress(Conflict, Invalid, NotFound):
                ids = of_service(desk, service)
                desk.database.write(
                    lambda tx, i=ids, w=what, h=how: act(tx, i, w, *h),  # type: ignore[misc]
                    actor=(ANA, RUI)[place % 2],
                )
        desk.run_due_timers()  # what is overdue at once is told at this instant too
        rows = desk.database.read(lambda tx: {one: by_row(tx, one) for one in of_service(desk, service)})
        seen.append((desk.clock.now(), rows))
    for at, rows in seen:
        for ticket_id, row in rows.items():
            past, _ = desk.database.read(lambda tx, t=ticket_id, a=at: history_service.past(tx, t, a))  # type: ignore[misc]
            assert by_events(past) == row
