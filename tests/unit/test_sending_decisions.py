"""When a message is tried again, which go together, when a channel is left alone, what it may be sent to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.kit.errors import Invalid
from tocsin.notify import pacing
from tocsin.notify.addresses import Allowed, refused, url_fault
from tocsin.notify.backoff import Failure, gives_up_at, next_try_at, schedule_of
from tocsin.notify.breaker import OPENS_AFTER, Breaker, Gate, after_failure, after_success, probing
from tocsin.notify.bundling import Due, arrange
from tocsin.notify.channel_store import StateRow
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.channels.webhook import Webhook
from tocsin.notify.definitions import Definition, settled
from tocsin.notify.message import Kind
from tocsin.notify.pacing import Bucket
from tocsin.notify.refusals import retry_after_s
from tocsin.notify.rendering import TicketFacts, WantedFacts, payload
from tocsin.notify.secrecy import masked, still_hidden, unmasked
from tocsin.notify.ways import Way, next_way

NOW = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
FEW = settings(max_examples=30)


def waits(kind: Kind, *, chance: float = 1.0, has_next_way: bool = False) -> list[float]:
    """The seconds between tries until it is given up, when it takes the whole of every wait."""
    found, now = [], NOW
    give_up_at = gives_up_at(kind, NOW)
    for tried in range(1, 100):
        at = next_try_at(
            kind, tried, Failure(), now=now, give_up_at=give_up_at, has_next_way=has_next_way, chance=chance
        )
        if at is None:
            return found
        found.append((at - now).total_seconds())
        now = at
    raise AssertionError("it is never given up")


def test_the_waits_are_those_of_standard_webhooks_and_short_for_what_wakes_somebody():
    assert waits(Kind.RESOLVED) == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert waits(Kind.PAGE)[:4] == [5, 15, 60, 300]
    assert waits(Kind.TEST) == []
    assert waits(Kind.PAGE, has_next_way=True) == [5, 15]


@FEW
@given(st.sampled_from(Kind), st.floats(0, 1), st.booleans())
def test_whatever_fails_is_given_up_before_it_is_too_old_and_jitter_never_adds(kind, chance, has_next_way):
    found = waits(kind, chance=chance, has_next_way=has_next_way)
    assert all(wait <= max(most, 0.5) for wait, most in zip(found, schedule_of(kind).waits_s, strict=False))
    assert sum(found) <= schedule_of(kind).lifetime_s


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(Failure(permanent=True), None), (Failure(retry_after_s=90), 90), (Failure(retry_after_s=1e9), 3600)],
)
def test_an_answer_may_say_when_or_never(failure, expected):
    at = next_try_at(Kind.PAGE, 1, failure, now=NOW, give_up_at=NOW + timedelta(days=1), has_next_way=False, chance=0.5)
    assert (None if at is None else (at - NOW).total_seconds()) == expected


def test_a_clock_that_is_set_back_by_hours_keeps_no_channel_shut():
    breaker = Breaker()
    for _ in range(OPENS_AFTER):
        breaker = after_failure(breaker, NOW, probe=False)
    earlier = NOW - timedelta(hours=2)
    assert breaker.gate(earlier) is Gate.HALF_OPEN
    assert probing(breaker, earlier, for_s=25).gate(earlier) is Gate.OPEN
    assert after_failure(breaker, earlier, probe=True).gate(earlier) is Gate.OPEN
    held = StateRow("hook", held_until=NOW + timedelta(minutes=50))
    assert (held.is_held(NOW), held.is_held(earlier)) == (True, False)


def test_a_breaker_opens_after_failures_in_a_row_lets_one_through_and_waits_longer_each_time():
    breaker = Breaker()
    for _ in range(OPENS_AFTER):
        assert breaker.gate(NOW) is Gate.CLOSED
        breaker = after_failure(breaker, NOW, probe=False)
    assert breaker.gate(NOW) is Gate.OPEN
    assert after_failure(breaker, NOW, probe=False) == breaker  # what was on its way by then
    pauses, now = [], NOW
    for _ in range(7):
        assert breaker.probe_at is not None
        pauses.append((breaker.probe_at - now).total_seconds())
        now = breaker.probe_at
        assert breaker.gate(now) is Gate.HALF_OPEN
        assert probing(breaker, now, for_s=25).gate(now) is Gate.OPEN  # nobody else meanwhile
        breaker = after_failure(breaker, now, probe=True)
    assert pauses == [15, 30, 60, 120, 240, 300, 300]
    assert breaker.fails_over(now)
    assert after_success().gate(now) is Gate.CLOSED


@FEW
@given(st.integers(1, 6000), st.lists(st.floats(0, 120), max_size=30))
def test_a_limit_per_minute_is_kept_however_often_it_is_asked(per_minute, steps):
    bucket, now, sent = Bucket(), NOW, 0
    for step_s in steps:
        now += timedelta(seconds=step_s)
        bucket = pacing.filled(bucket, now, per_minute=per_minute)
        n = int(bucket.tokens)
        bucket, sent = pacing.taken(bucket, n), sent + n
        assert pacing.next_at(bucket, now, per_minute=per_minute) > now
    elapsed_s = (now - NOW).total_seconds()
    assert sent <= pacing.depth(per_minute) + elapsed_s * per_minute / 60 + 1


def due(n: int, kind: Kind = Kind.UPDATED, *, ticket: int | None = 1, age_s: float = 0, tried: bool = False) -> Due:
    return Due(n, kind, ticket, None, NOW - timedelta(seconds=age_s), tried=tried)


def arranged(*rows: Due, bundle_s: float = 30, room: int = 10, busy: tuple[tuple[int | None, None], ...] = ()):
    return arrange(rows, rows, now=NOW, bundle_s=bundle_s, kinds=None, busy=busy, room=room)


def test_updates_wait_for_the_window_of_the_oldest_then_the_newest_speaks_for_all():
    young = arranged(due(1, age_s=29), due(2), due(3, ticket=2))
    assert young.send == {}
    assert young.later[1] == young.later[2] == NOW + timedelta(seconds=1)
    assert arranged(due(1, age_s=30), due(2)).send == {2: [1]}
    assert arranged(due(1), due(2), bundle_s=0).send == {1: []}  # one of a ticket at a time


def test_what_can_not_wait_takes_along_what_came_before_it_and_a_retry_stays_what_it_was():
    found = arranged(due(1), due(2, Kind.RESOLVED), due(3))
    assert (found.send, list(found.later)) == ({2: [1]}, [3])
    assert arranged(due(1, tried=True), due(2)).send == {1: []}


@FEW
@given(
    st.lists(
        st.tuples(st.sampled_from(Kind), st.sampled_from([1, 2, 3, None]), st.floats(0, 60), st.booleans()), max_size=30
    ),
    st.integers(0, 8),
)
def test_no_message_is_in_two_places_and_no_more_go_than_there_is_room_for(rows, room):
    given_rows = [
        due(n, kind, ticket=ticket, age_s=age_s, tried=tried) for n, (kind, ticket, age_s, tried) in enumerate(rows, 1)
    ]
    found = arranged(*given_rows, room=room, busy=((3, None),))
    sent = [*found.send, *(one for others in found.send.values() for one in others)]
    assert len(found.send) <= room
    assert len(sent) == len(set(sent))
    assert not set(sent) & set(found.later)
    by_id = {one.id: one for one in given_rows}
    threads = [by_id[one].thread for one in found.send if by_id[one].ticket_id is not None]
    assert len(threads) == len(set(threads))
    assert (3, None) not in threads


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("127.0.0.1", "this machine"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("169.254.169.254", "link-local"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "reserved"),
        ("255.255.255.255", "reserved"),
        ("192.0.2.1", "private"),
        ("198.18.0.1", "private"),
        ("::1", "this machine"),
        ("::", "reserved"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("ff02::1", "multicast"),
        ("::ffff:127.0.0.1", "this machine"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::10.0.0.1", "reserved"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::7f00:1", "this machine"),
        ("64:ff9b:1::1", "reserved"),
        ("2002:7f00:1::", "this machine"),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", "private"),
        ("2001:db8::1", "private"),
        ("fec0::1", "private"),
        ("not an address", "no address"),
    ],
)
def test_no_address_of_this_machine_or_its_networks_is_sent_to_however_it_is_written(address, fault):
    assert fault in (refused(address, Allowed()) or "")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_sent_to(address):
    assert refused(address, Allowed()) is None


def test_networks_and_hosts_can_be_allowed():
    allowed = Allowed.parse("10.0.0.0/8, hooks.internal ,fd00::/8,")
    assert refused("10.1.2.3", allowed) is None
    assert refused("::ffff:10.1.2.3", allowed) is None
    assert refused("fd00::1", allowed) is None
    assert refused("192.168.1.1", allowed)
    assert allowed.host("Hooks.Internal.")
    assert not allowed.host("other.internal")
    for wrong in ("10.0.0.0/99", "a b", "http://x/"):
        with pytest.raises(ValueError, match="neither a network"):
            Allowed.parse(wrong)


@pytest.mark.parametrize(
    "url",
    [None, 7, "", "hooks.example.org", "ftp://x/", "http://", "http://u:p@x/", "http://x:99999/", "http://x/ y",
     "http://x/\n", "http://ü.example/", "http://[::1", "x" * 3000],
)  # fmt: skip
def test_what_is_no_address_to_post_to_is_refused(url):
    assert url_fault(url)


def test_a_webhook_names_every_setting_that_is_wrong():
    config = {
        "url": "nope",
        "secret": "whsec_c2hvcnQ=",
        "old_secret": "plain",
        "headers": {"Host": "x", "x-ok": "fine", "x-bad": "line\nbreak", "webhook-id": "1"},
        "method": "GET",
    }
    assert {error.pointer for error in Webhook().check(config)} == {
        "/url", "/secret", "/old_secret", "/headers/Host", "/headers/x-bad", "/headers/webhook-id", "/method"
    }  # fmt: skip
    assert {error.pointer for error in Webhook().check({"url": "https://x/", "headers": ["a"]})} == {"/headers"}


@pytest.mark.parametrize("secret", ["whsec_" + "é" * 40, "whsec_" + "-_" * 20, "whsec_ " + "YWFh" * 10, "YWFh" * 10, 7])
def test_a_secret_that_two_sides_would_read_differently_is_refused(secret):
    [error] = Webhook().check({"url": "https://x/", "secret": secret})
    assert error.pointer == "/secret"
    assert Webhook().check({"url": "https://x/", "secret": "whsec_" + "YWFh" * 10 + "YQ"}) == []


def test_a_certificate_is_plain_text():
    config = {"host": "mx.example", "from": "a@x.example", "ca": "-----BEGIN CERTIFICATE-----é"}
    assert [error.pointer for error in CHANNELS["email"].check(config)] == ["/ca"]


@pytest.mark.parametrize(
    ("header", "waits_s"),
    [("90", 90), ("Tue, 24 Nov 2026 02:22:30 GMT", 90), ("Tuesday, 24-Nov-26 02:22:30 GMT", 90),
     ("Tue Nov 24 02:22:30 2026", 90), ("Tue, 24 Nov 2020 02:22:30 GMT", 0), ("-5", None), ("soon", None), (None, None),
     (f"Tue, 24 Nov {'9' * 30} 02:22:30 GMT", None), (f"Tue, 24 Nov 2026 02:22:30 +{'9' * 30}", None)],
)  # fmt: skip
def test_how_long_the_other_side_asks_to_wait_is_a_number_or_a_date(header, waits_s):
    assert retry_after_s(header, now=NOW) == waits_s


def test_secrets_are_hidden_kept_when_they_come_back_hidden_and_asked_for_when_there_is_none():
    secrets = frozenset({"secret", "headers", "keys"})
    config = {"url": "u", "secret": "s", "headers": {"a": "1"}, "keys": ["x", "y"]}
    shown = masked(config, secrets)
    assert shown == {"url": "u", "secret": "***", "headers": {"a": "***"}, "keys": ["***", "***"]}
    assert unmasked(shown, config, secrets) == config
    changed = shown | {"headers": {"a": "***", "b": "2"}, "keys": ["***"]}
    assert unmasked(changed, config, secrets)["headers"] == {"a": "1", "b": "2"}
    assert still_hidden(unmasked(changed, config, secrets), secrets) == ["/keys/0"]
    assert still_hidden(unmasked(shown, {}, secrets), secrets) == ["/headers/a", "/keys/0", "/keys/1", "/secret"]


@pytest.mark.parametrize(
    ("kind", "config", "change", "secret"),
    [
        ("webhook", {"url": "https://a.example/", "headers": {"x-key": "topsecret"}}, {"url": "https://b.example/"},
         "/headers/x-key"),
        ("email", {"host": "mx.a.example", "from": "a@a.example", "username": "u", "password": "topsecret"},
         {"host": "mx.b.example"}, "/password"),
        ("email", {"host": "mx.a.example", "from": "a@a.example", "username": "u", "password": "topsecret"},
         {"port": 2525}, "/password"),
        ("telegram", {"token": "123456:ABCDEFGHIJKL", "chat_id": "1"}, {"api_url": "https://b.example"}, "/token"),
        ("slack", {"token": "xoxb-1234", "channel": "C1"}, {"api_url": "https://b.example"}, "/token"),
        ("ntfy", {"topic": "t", "token": "topsecret"}, {"url": "https://b.example"}, "/token"),
        ("sms", {"account_sid": "AC" + "0" * 32, "auth_token": "topsecret", "from": "+351912345678"},
         {"api_url": "https://b.example"}, "/auth_token"),
    ],
)  # fmt: skip
def test_a_secret_is_kept_for_the_place_it_was_given_for_and_no_other(kind, config, change, secret):
    before = Definition("c", kind, config)
    shown = masked(config, CHANNELS[kind].secrets)
    assert settled(Definition("c", kind, shown), before, CHANNELS) == before
    with pytest.raises(Invalid, match=f"was given for another {next(iter(change))}") as refused_with:
        settled(Definition("c", kind, {**shown, **change}), before, CHANNELS)
    assert f"/config{secret}" in {error.pointer for error in refused_with.value.errors}
    assert settled(Definition("c", kind, {**config, **change}), before, CHANNELS).config == {**config, **change}


def test_an_address_that_is_a_secret_itself_is_kept_when_it_comes_back_hidden():
    before = Definition("c", "slack", {"url": "https://hooks.example/T0"})
    again = settled(Definition("c", "slack", {"url": "***", "interactive": True}), before, CHANNELS)
    assert again.config == {"url": "https://hooks.example/T0", "interactive": True}


def test_every_channel_that_keeps_secrets_says_where_they_are_sent():
    assert [name for name, channel in CHANNELS.items() if channel.secrets and not channel.where] == []


def test_a_secret_is_not_kept_for_a_channel_of_another_kind():
    before = Definition("c", "other", {"url": "https://x/", "secret": "s"})
    with pytest.raises(Invalid, match="hidden"):
        settled(Definition("c", "webhook", {"url": "https://x/", "secret": "***"}), before, CHANNELS)


def test_ways_are_taken_in_order_and_none_twice():
    first = Way("mail", 1, (1, 2))
    second = next_way(first, fallback="ops", gone=())
    assert second == Way(None, 2)
    last = next_way(Way("sms", 2), fallback="ops", gone=["method:1"])
    assert last == Way("ops")
    assert next_way(Way("ops"), fallback="ops", gone=["method:1", "method:2"]) is None
    assert next_way(Way("a"), fallback="b", gone=["channel:b"]) is None


def test_a_webhook_is_told_of_the_ticket_and_the_event():
    ticket = TicketFacts(7, "disk full", "a & b", "OPEN", 1, "web", None, None, NOW, "rule:x")
    wanted = WantedFacts("msg_1", Kind.OPENED, 3, "hook", "webhook", created_at=NOW)
    body = payload(ticket, wanted, title="P1 web: disk full", text="It is full.", url=None)
    assert body["type"] == "ticket.opened"
    assert body["data"]["ticket"]["priority"] == "P1"  # type: ignore[index]
    assert body["data"]["title"] == "P1 web: disk full"  # type: ignore[index]
    assert payload(None, wanted, title="", text="", url=None)["type"] == "tocsin.opened"
