"""Links that act: what a token allows, that nobody else can make or change one, and Slack's signature."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import START
from outward import slack_signature
from tocsin.notify.links import LIVES, Link, NoLink, Verb, actions_of, nonce_of, public_url, read, sign
from tocsin.notify.slack_answers import pressed, sent_by_slack
from tocsin.tickets.workflow import Status

KEY, OTHER = b"k" * 32, b"o" * 32
LINK = Link(7, Verb.ACKNOWLEDGE, "ana", START + LIVES, nonce_of("delivery-41"))


def test_a_token_says_what_it_allows_and_is_short() -> None:
    token = sign(LINK, KEY)
    assert read(token, [KEY]) == LINK
    assert read(token, [OTHER, KEY]) == LINK
    assert len(token) < 64
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_the_same_message_has_the_same_link_and_another_one_another() -> None:
    assert sign(LINK, KEY) == sign(LINK, KEY)
    others = [
        Link(8, LINK.verb, LINK.person, LINK.expires_at, LINK.nonce),
        Link(7, Verb.RESOLVE, LINK.person, LINK.expires_at, LINK.nonce),
        Link(7, LINK.verb, "rui", LINK.expires_at, LINK.nonce),
        Link(7, LINK.verb, LINK.person, LINK.expires_at + timedelta(days=1), LINK.nonce),
        Link(7, LINK.verb, LINK.person, LINK.expires_at, nonce_of("delivery-42")),
    ]
    assert len({sign(one, KEY) for one in [LINK, *others]}) == 6


@given(st.integers(0, 200), st.sampled_from("ABCxyz019-_.="))
def test_a_token_that_was_changed_anywhere_is_none(place: int, letter: str) -> None:
    token = sign(LINK, KEY)
    changed = token[: place % len(token)] + letter + token[place % len(token) + 1 :]
    if changed != token:
        with pytest.raises(NoLink):
            read(changed, [KEY])


@given(st.text(max_size=120))
def test_nothing_but_a_token_is_one(text: str) -> None:
    with pytest.raises(NoLink):
        read(text, [KEY, OTHER])


def test_a_token_of_another_key_or_with_something_added_is_none() -> None:
    token = sign(LINK, KEY)
    for wrong, keys in (
        (token, [OTHER]),
        (token, []),
        (token + "=", [KEY]),
        (f" {token}", [KEY]),
        (token + "A", [KEY]),
    ):
        with pytest.raises(NoLink):
            read(wrong, keys)


def test_a_message_offers_what_may_be_done_and_nothing_without_an_address() -> None:
    def offered(status: Status, base_url: str | None = "https://t.example.org/") -> list[str]:
        made = actions_of(7, status, person="ana", message_id="d", key=KEY, base_url=base_url, now=START)
        assert all(one.url.startswith("https://t.example.org/act/") for one in made)
        return [one.name for one in made]

    assert offered(Status.OPEN) == ["acknowledge", "resolve", "open"]
    assert offered(Status.IN_PROGRESS) == ["resolve", "open"]
    assert offered(Status.CLOSED) == ["open"]
    assert offered(Status.OPEN, None) == []


@pytest.mark.parametrize(
    "text", ["tocsin.example.org", "ftp://x", "https://", "https://x y", "https://x?a=1", "https://u@x"]
)
def test_an_address_that_links_can_not_begin_with_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="TOCSIN_PUBLIC_URL"):
        public_url(text)
    assert public_url(" https://x.org/tocsin/ ") == "https://x.org/tocsin"
    assert public_url("") is None


STAMP = str(int(START.timestamp()))
BODY = b"payload=%7B%7D"


@pytest.mark.parametrize(
    ("stamp", "signature", "late_s", "good"),
    [
        (STAMP, slack_signature("s3cret", STAMP, BODY), 0, True),
        (STAMP, slack_signature("s3cret", STAMP, BODY), 299, True),
        (STAMP, slack_signature("s3cret", STAMP, BODY), 301, False),
        (STAMP, slack_signature("s3cret", STAMP, BODY), -301, False),
        (STAMP, slack_signature("other", STAMP, BODY), 0, False),
        (STAMP, slack_signature("s3cret", STAMP, BODY + b"x"), 0, False),
        ("1", slack_signature("s3cret", "1", BODY), 0, False),
        ("²", "v0=x", 0, False),
        (STAMP, "v0=é", 0, False),
        (STAMP, "", 0, False),
        (None, None, 0, False),
    ],
)
def test_slack_is_believed_for_five_minutes(stamp: Any, signature: Any, late_s: int, good: bool) -> None:
    now = START + timedelta(seconds=late_s)
    assert sent_by_slack("s3cret", stamp=stamp, signature=signature, body=BODY, now=now) is good


def test_what_slack_says_of_a_button_is_read_and_all_else_is_nothing_to_do() -> None:
    said = {
        "type": "block_actions",
        "user": {"id": "U1", "username": "ana"},
        "actions": [{"action_id": "acknowledge", "value": "TOKEN"}],
        "response_url": "https://hooks.slack.com/actions/1",
    }
    found = pressed(json.dumps(said))
    assert found is not None
    assert (found.token, found.user_id, found.user_name) == ("TOKEN", "U1", "ana")
    nothing: list[Any] = [
        {**said, "type": "view_submission"}, {**said, "actions": []}, {**said, "actions": [{"action_id": "open"}]},
        {**said, "user": None}, [], "x", None, {**said, "actions": [7]},
    ]  # fmt: skip
    assert [pressed(json.dumps(one)) for one in nothing] == [None] * len(nothing)
    assert pressed("{") is None
