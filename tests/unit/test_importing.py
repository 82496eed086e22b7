"""Tickets from elsewhere: what files say is read, and their history is told along our own lifecycle."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.errors import Invalid
from tocsin.kit.priorities import Priority
from tocsin.tickets.importing import Foreign, Step, plan
from tocsin.tickets.sources.formats import FORMATS
from tocsin.tickets.sources.rows import Mapped, Read, Unreadable
from tocsin.tickets.workflow import REOPENED_BY_PERSON, TRANSITIONS, Status

NOW = datetime(2026, 11, 24, tzinfo=UTC)
T0 = datetime(2026, 11, 1, tzinfo=UTC)
HEAD = (
    "number,incident_state,opened_at,sys_updated_at,priority,assignment_group,assigned_to,made_sla,resolved_at"
    ",closed_at"
)


def servicenow(*rows: str, head: str = HEAD) -> Read:
    return FORMATS["servicenow"]("\n".join([head, *rows, ""]).encode(), Mapped())


def events_of(ticket: Foreign) -> list[Any]:
    return [(type(event).__name__, event) for _, event in plan(ticket, source="s", now=NOW).events]


def test_updates_of_an_incident_become_its_history():
    read = servicenow(
        "INC1,New,1/11/2026 08:00,1/11/2026 08:01,3 - Moderate,net,?,true,2/11/2026 10:00,7/11/2026 10:00",
        "INC1,Active,1/11/2026 08:00,1/11/2026 09:00,2 - High,db,ana,true,2/11/2026 10:00,7/11/2026 10:00",
        "INC1,Awaiting Vendor,1/11/2026 08:00,1/11/2026 10:00,2 - High,db,ana,true,2/11/2026 10:00,7/11/2026 10:00",
        "INC1,Resolved,1/11/2026 08:00,1/11/2026 23:00,2 - High,db,ana,true,2/11/2026 10:00,7/11/2026 10:00",
        "INC1,Closed,1/11/2026 08:00,7/11/2026 10:00,2 - High,db,ana,false,2/11/2026 10:00,7/11/2026 10:00",
    )
    [ticket] = read.tickets
    found = plan(ticket, source="servicenow", now=NOW)
    assert [f"{at:%d %H:%M} {type(event).__name__}" for at, event in found.events[:-1]] == [
        "01 08:00 TicketOpened", "01 08:00 TicketEdited", "01 09:00 TicketPrioritised", "01 09:00 TicketEdited",
        "01 09:00 TicketMoved", "01 10:00 TicketHeld", "02 10:00 TicketMoved", "07 10:00 TicketMoved",
    ]  # fmt: skip
    row = found.row
    assert (row["status"], row["priority"], row["team"], row["assignee"]) == ("CLOSED", 2, "db", "ana")
    assert (row["opened_by"], row["met_at_source"], row["held_since"]) == ("import:servicenow", 0, None)
    assert row["resolved_at"] == datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert row["acknowledged_at"] == datetime(2026, 11, 1, 9, tzinfo=UTC)


def test_what_was_resolved_at_once_was_never_acknowledged():
    row = plan(Foreign("1", "t", Priority.P1, T0, Status.RESOLVED, resolved_at=T0), source="s", now=NOW).row
    assert (row["status"], row["acknowledged_at"]) == ("RESOLVED", None)


def test_what_was_taken_up_again_after_closing_had_only_been_resolved():
    states = (Status.CLOSED, Status.IN_PROGRESS, Status.CLOSED)
    steps = tuple(Step(T0 + timedelta(hours=n), status=status) for n, status in enumerate(states))
    found = events_of(Foreign("1", "t", Priority.P1, T0, Status.CLOSED, history=steps))
    assert [name for name, _ in found].count("TicketReopened") == 1
    assert [event.after for name, event in found if name == "TicketMoved"].count("CLOSED") == 1


@given(
    st.lists(
        st.tuples(st.sampled_from([*Status, None]), st.sampled_from([None, "", "vendor"]), st.integers(-50, 600)),
        max_size=12,
    ),
    st.sampled_from(Status),
)
def test_any_history_is_told_in_order_and_along_the_transition_table(steps, last):
    history = tuple(Step(T0 + timedelta(minutes=m), status=status, held=held) for status, held, m in steps)
    found = plan(Foreign("1", "t", Priority.P3, T0, last, history=history), source="s", now=NOW)
    status = Status.OPEN
    for _, event in found.events:
        match type(event).__name__:
            case "TicketMoved":
                assert event.before == status
                assert Status(event.after) in TRANSITIONS[status]
                status = Status(event.after)
            case "TicketReopened":
                assert (status, event.after) == (Status.RESOLVED, REOPENED_BY_PERSON)
                status = Status(event.after)
    assert all(a <= b for (a, _), (b, _) in pairwise(found.events))
    assert status == found.row["status"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"opened_at": NOW + timedelta(days=1)}, "opened_at"),
        ({"resolved_at": T0 - timedelta(hours=1)}, "resolved_at"),
        ({"resolved_at": T0 + timedelta(days=2), "closed_at": T0 + timedelta(days=1)}, "closed_at"),
        ({"acknowledged_at": T0 - timedelta(hours=1)}, "acknowledged_at"),
        ({"status": Status.OPEN, "resolved_at": T0}, "status"),
    ],
)
def test_times_that_can_not_be_are_refused(changes, pointer):
    values = {"opened_at": T0, "status": Status.CLOSED, **changes}
    with pytest.raises(Invalid) as refused:
        plan(Foreign("1", "t", Priority.P3, **values), source="s", now=NOW)
    assert refused.value.errors[0].pointer == pointer


def test_bad_rows_are_named_with_their_line_and_the_rest_is_read():
    read = servicenow(
        "INC1,New,soon,1/11/2026 08:01,3,,,,,",
        "INC2,New,1/11/2026 08:00,1/11/2026 08:01,9,,,,,",
        "INC3,Sleeping,1/11/2026 08:00,1/11/2026 07:00,3,,,,,",
        "INC4,New,1/11/2026 08:00",
        "?,New,1/11/2026 08:00,,3,,,,,",
        "INC5,New,1/11/2026 08:00,,3,,,,,",
    )
    assert [ticket.external_id for ticket in read.tickets] == ["INC3", "INC5"]
    assert {line: detail.split(":")[0] for line, detail in read.bad} == {
        2: "opened_at", 3: "priority", 5: "has another number of fields than the 10 of line 1", 6: "it has no number",
    }  # fmt: skip
    assert [line for line, _ in read.noted] == [4, 4]
    assert read.rows == 6


@pytest.mark.parametrize(
    ("form", "data", "words"),
    [
        ("servicenow", HEAD.encode() + b"\nINC1,New,1/11/20", "middle of line 2"),
        ("servicenow", HEAD.encode() + b'\nINC1,"New', "cut"),
        ("servicenow", HEAD.encode() + b"\nINC1,N\xe9w,", "byte 0xe9 in line 2 is not UTF-8"),
        ("servicenow", "number;opened_at\n".encode("utf-16-le"), "U+0000"),
        ("servicenow", b"id,when\n1,2\n", "no column number, opened_at"),
        ("servicenow", b"", "no column"),
        ("status", b'{"id": 1}\n{"id": 2, "ti', "middle of line 2"),
        ("tocsin", b'{"id": 1}\n{"id": 2, "ti', "middle of line 2"),
        ("json", b'[{"external_id": "1"}, {"ext', "no JSON"),
        ("csv", b"external_id,title\n1,x\n", "no column opened_at"),
    ],
)
def test_files_that_were_cut_or_are_something_else_are_refused_whole(form, data, words):
    with pytest.raises(Unreadable, match="nothing of it was") as refused:
        FORMATS[form](data, Mapped())
    assert words in str(refused.value)


def test_a_map_says_what_columns_words_and_times_mean():
    mapped = Mapped(
        {"external_id": "Key", "title": "Summary", "opened_at": "Created", "status": "State", "priority": "Prio"},
        {"Done": "CLOSED"}, {"Blocker": "P1"}, ("%m/%d/%Y %H:%M",), "Europe/Lisbon", "latin-1",
    )  # fmt: skip
    data = "Key;Summary;Created;State;Prio\nA-1;Caf\xe9 is closed;7/13/2026 09:30;Done;Blocker\n".encode("latin-1")
    [ticket] = FORMATS["csv"](data, mapped).tickets
    assert (ticket.title, ticket.status, ticket.priority) == ("Café is closed", Status.CLOSED, Priority.P1)
    assert ticket.opened_at == datetime(2026, 7, 13, 8, 30, tzinfo=UTC)
    nested = b'{"key": "A-1", "fields": {"summary": "x", "created": "2026-07-13T09:30"}, "state": "Done"}\n'
    mapped = Mapped({"external_id": "key", "title": "fields.summary", "opened_at": "fields.created", "status": "state"},
                    {"done": "CLOSED"})  # fmt: skip
    [ticket] = FORMATS["json"](nested, mapped).tickets
    assert (ticket.external_id, ticket.title, ticket.status) == ("A-1", "x", Status.CLOSED)


def test_updates_of_a_status_page_are_notes():
    data = (
        b'{"id": 7, "title": "API down", "impact": "major", "started_at": "2026-11-01T00:00:00Z",'
        b' "components": ["API"],'
        b' "resolved_at": "2026-11-01T02:00:00Z", "updates": ['
        b'{"at": "2026-11-01T00:00:00Z", "status": "Investigating", "message": "We look."},'
        b'{"at": "2026-11-01T01:00:00Z", "status": "Identified", "message": "We know."},'
        b'{"at": "2026-11-01T02:00:00Z", "status": "Resolved", "message": "It works."}]}\n'
    )
    [ticket] = FORMATS["status"](data, Mapped()).tickets
    assert (ticket.priority, ticket.service, ticket.status) == (Priority.P2, "API", Status.CLOSED)
    assert [event.text for name, event in events_of(ticket) if name == "TicketNoted"] == [
        "We look.", "We know.", "It works.",
    ]  # fmt: skip
    assert ticket.acknowledged_at == T0 + timedelta(hours=1)
    assert ticket.description == "Components: API\nWe look."  # where it is found by its words
    assert (ticket.resolution_code, ticket.resolution_note) == ("resolved", "It works.")


def test_a_status_page_may_be_as_its_own_api_has_it():
    page = {
        "page": {"id": "p", "name": "Shop"},
        "incidents": [
            {"id": "7k", "name": "API down", "impact": "minor", "created_at": "2026-11-01T00:00:00.000Z",
             "resolved_at": None, "status": "identified", "components": [{"id": "c", "name": "API"}],
             "incident_updates": [
                 {"created_at": "2026-11-01T01:00:00.000Z", "status": "identified", "body": "We know."},
                 {"created_at": "2026-11-01T00:00:00.000Z", "status": "investigating", "body": "We look."},
             ]},
        ],
    }  # fmt: skip
    read = FORMATS["status"](json.dumps(page, indent=2).encode(), Mapped())
    [ticket] = read.tickets
    assert (ticket.external_id, ticket.title, ticket.service) == ("7k", "API down", "API")
    assert (ticket.status, ticket.resolved_at, ticket.description) == (
        Status.IN_PROGRESS, None, "Components: API\nWe look.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("impact", "priority"), [("critical", 1), ("major", 2), ("minor", 3), ("none", 4), ("maintenance", 5)]
)
def test_each_impact_of_a_status_page_has_a_priority_of_its_own(impact, priority):
    data = f'{{"id": 7, "title": "API", "impact": "{impact}", "started_at": "2026-11-01T00:00:00Z"}}\n'.encode()
    [ticket] = FORMATS["status"](data, Mapped()).tickets
    assert (ticket.priority, ticket.resolution_note) == (priority, None)


JIRA = (
    "Summary,Issue key,Issue id,Status,Priority,Resolution,Assignee,Created,Updated,Resolved,Component/s,Component/s,"
    "Labels,Labels,Description,Custom field (Team),Time to resolution,Outward issue link (Duplicate),Comment,Comment"
)


def jira(*lines: str, **more: Any) -> Read:
    return FORMATS["jira"]("\n".join([JIRA, *lines, ""]).encode(), Mapped(**more))


def test_an_issue_of_jira_comes_with_what_its_columns_say():
    read = jira(
        "Mail is down,OPS-7,10007,Closed,Highest,Done,Ana Lima,24/Nov/25 2:21 AM,26/Nov/25 9:00 AM,24/Nov/25 4:00 PM,"
        'mail,smtp,two words,emea,"It is,\nall of it",Net,-0:45,OPS-3,"24/Nov/25 3:00 AM;ana;We look; more.",',
        zone="Europe/Lisbon",
    )  # fmt: skip
    assert (read.bad, read.noted) == ([], [])
    [one] = read.tickets
    assert (one.external_id, one.title, one.description) == ("OPS-7", "Mail is down", "It is,\nall of it")
    assert (one.status, one.priority, one.service, one.team, one.assignee) == (
        Status.CLOSED, Priority.P1, "mail", "Net", "Ana Lima",
    )  # fmt: skip
    assert one.opened_at == datetime(2025, 11, 24, 2, 21, tzinfo=UTC)
    assert (one.resolved_at, one.closed_at) == (datetime(2025, 11, 24, 16, tzinfo=UTC),) * 2
    assert (one.met, one.tags, one.resolution_code) == (False, ["two-words", "emea"], "Done")
    assert [(said.text, said.by, said.at.hour) for said in one.comments] == [("We look; more.", "ana", 3)]
    assert [(tie.kind.value, tie.external_id) for tie in one.links] == [("duplicate_of", "OPS-3")]
    row = plan(one, source="jira", now=NOW).row
    assert (row["status"], row["tags"], row["met_at_source"]) == ("CLOSED", ["emea", "two-words"], 0)


@pytest.mark.parametrize(
    ("text", "status", "held"),
    [
        ("Waiting for support", "OPEN", None), ("Waiting for customer", "IN_PROGRESS", "Waiting for customer"),
        ("Pending", "IN_PROGRESS", "Pending"), ("Work in progress", "IN_PROGRESS", None), ("Done", "CLOSED", None),
        ("Canceled", "RESOLVED", None), ("Shelved", "OPEN", None),
    ],
)  # fmt: skip
def test_states_of_jira_become_ours(text, status, held):
    read = jira(f"t,OPS-1,1,{text},Low,,,1/Jul/26 11:30 PM,2/Jul/26 1:00 AM,,,,,,,,1h 20m,,,", zone="Europe/Lisbon")
    [one] = read.tickets
    row = plan(one, source="jira", now=NOW).row
    assert (row["status"], row["hold_reason"], one.met) == (status, held, True)
    assert one.opened_at == datetime(2026, 7, 1, 22, 30, tzinfo=UTC)  # it is summer there
    assert bool(read.noted) == (text in {"Shelved", "Done", "Canceled"})


def test_bad_issues_are_named_and_a_file_that_was_cut_is_refused():
    good = "t,OPS-1,1,Open,Low,,,1/Jul/26 11:30 PM,,,,,,,,,,,,"
    bad = [good.replace("1/Jul/26", "31/Feb/26"), good.replace("OPS-1", ""), good.replace("Low", "Odd"), good[:9]]
    read = jira(good, *bad, good.replace(",,,,,,,,,,,,", ",,,,,,,,,,,hello,"))
    assert [(line, detail.split(":")[0]) for line, detail in sorted(read.bad)] == [
        (3, "created"), (4, "issue key"), (5, "priority"), (6, "has another number of fields than the 20 of line 1"),
    ]  # fmt: skip
    assert [line for line, _ in read.noted] == [7]
    with pytest.raises(Unreadable, match="middle of line 3: it was cut"):
        FORMATS["jira"]("\n".join([JIRA, good, good[:20]]).encode(), Mapped())
    with pytest.raises(Unreadable, match="no column issue key, created"):
        FORMATS["jira"](b"Summary,Status\nx,Open\n", Mapped())
    mapped = Mapped({"opened_at": "When"}, {"Odd": "RESOLVED"}, {"Urgent": "P2"}, ("%m/%d/%Y",))
    [one] = FORMATS["jira"](b"Summary;Key;Status;Priority;When\nx;A-1;odd;Urgent;7/13/2026\n", mapped).tickets
    assert (one.status, one.priority, one.opened_at) == (
        Status.RESOLVED,
        Priority.P2,
        datetime(2026, 7, 13, tzinfo=UTC),
    )


def test_what_an_alert_reopened_waits_for_somebody_again():
    steps = (
        Step(T0 + timedelta(hours=1), status=Status.IN_PROGRESS), Step(T0 + timedelta(hours=2), status=Status.RESOLVED),
        Step(T0 + timedelta(hours=3), status=Status.OPEN, by_alert=True),
    )  # fmt: skip
    row = plan(Foreign("1", "t", Priority.P1, T0, Status.OPEN, history=steps), source="s", now=NOW).row
    assert (row["status"], row["acknowledged_at"], row["acknowledge_from"]) == ("OPEN", None, T0 + timedelta(hours=3))


def test_an_incident_comes_with_its_impact_its_urgency_and_how_it_was_closed():
    head = HEAD + ",impact,urgency,close_code,close_notes"
    said = "1/11/2026 08:00,1/11/2026 09:00,3,net,?,true"
    read = servicenow(
        f"INC1,Closed,{said},1/11/2026 09:00,1/11/2026 09:00,2 - Medium,1 - High,Solved,A new disk.",
        f"INC2,Active,{said},?,?,?,9,Solved,?",
        head=head,
    )
    one, other = read.tickets
    assert (one.impact, one.urgency, one.resolution_code, one.resolution_note) == (2, 1, "Solved", "A new disk.")
    row = plan(one, source="s", now=NOW).row
    assert (row["impact"], row["resolution_code"], row["priority"]) == (2, "Solved", 3)  # its own, not the matrix's
    assert (other.impact, other.urgency, plan(other, source="s", now=NOW).row["resolution_code"]) == (None, None, None)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_any_tool_may_say_tags_impact_and_how_a_ticket_was_resolved(form):
    data = {
        "csv": b"external_id,title,opened_at,resolved_at,tags,impact,urgency,resolution_code,resolution_note\n"
        b'1,t,2026-11-01,2026-11-02,"db, eu west",High,2 - Medium,fixed,A disk\n2,t,2026-11-01,,,huge,,,\n',
        "json": b'[{"external_id": 1, "title": "t", "opened_at": "2026-11-01", "resolved_at": "2026-11-02", "tags": '
        b'["db", "eu", "west"], "impact": 1, "urgency": "medium", "resolution_code": "fixed", "resolution_note": '
        b'"A disk"}, {"external_id": 2, "title": "t", "opened_at": "2026-11-01", "impact": "huge"}]',
    }[form]
    read = FORMATS[form](data, Mapped())
    [one] = read.tickets
    assert (one.impact, one.urgency, list(one.tags)) == (1, 2, ["db", "eu", "west"])
    assert (one.resolution_code, one.resolution_note) == ("fixed", "A disk")
    [(_, why)] = read.bad
    assert why == "impact: 'huge' is none of 1 (high) to 3 (low)"
