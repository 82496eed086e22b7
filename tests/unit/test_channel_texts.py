"""Texts made to fit what a provider takes: nothing too long, nothing cut in the middle of an escape."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward import a_message
from tocsin.notify.channels.cutting import cut, fitting, one_line, utf8_size, utf16_size, with_links
from tocsin.notify.channels.slack import blocks, escaped, linked
from tocsin.notify.channels.telegram import MAX_CHARS
from tocsin.notify.channels.telegram import html as telegram_html
from tocsin.notify.channels.twilio import segments_of, short, spoken
from tocsin.notify.channels.webhook import Webhook
from tocsin.notify.message import DeliveryFailed
from tocsin.notify.outside import Answered


@given(st.text(), st.integers(1, 60))
def test_one_line_is_one_and_short_enough(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert not set(line) & set("\r\n\0\x1b\u202e\u2028")
    line.encode()


@given(st.text(alphabet="a&<>é😀\n"), st.integers(8, 200))
def test_what_is_escaped_fits_and_is_whole(text: str, limit: int) -> None:
    for size in (len, utf8_size, utf16_size):
        made = fitting(text, limit, escaped, size)
        assert size(made) <= limit
        bare = made.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert not set(bare) & set("&<>")


@given(st.text(alphabet="x&<>|! @https://.\n", max_size=80))
def test_no_text_mentions_anybody_in_slack(text: str) -> None:
    made = linked(text)
    for start in [place for place, letter in enumerate(made) if letter == "<"]:
        assert made.startswith(("<https://", "<http://"), start)
        assert "|" not in made[start : made.index(">", start)]
    assert len(blocks(a_message(text=text), interactive=False)) >= 3


@given(st.text(alphabet="a^é數😀 \n", max_size=700), st.integers(1, 5))
def test_a_text_message_costs_what_it_may_and_ends_with_its_link(text: str, segments: int) -> None:
    made = short(a_message(text=text, title="t"), segments=segments)
    assert segments_of(made) <= segments
    assert made.endswith("https://tocsin.example.org/act/A1")


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("é" * 306, 2),
        ("數" * 70, 1),
        ("數" * 71, 2),
        ("😀" * 36, 2),
    ],
)
def test_segments_are_counted_as_carriers_do(text: str, segments: int) -> None:
    assert segments_of(text) == segments


@given(st.text(max_size=300))
def test_what_is_said_and_what_is_shown_are_well_formed(text: str) -> None:
    message = a_message(text=text * 20)
    assert len(spoken(message)) <= 4000
    shown = telegram_html(message).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert utf16_size(shown) - len("<b></b>") <= MAX_CHARS


def test_links_are_added_where_a_text_has_none() -> None:
    assert (
        with_links("a\n", [("Go", "https://x/1"), ("See", "https://x/2")]) == "a\n\nGo: https://x/1\nSee: https://x/2\n"
    )
    assert with_links("at https://x/1\n", [("Go", "https://x/1")]) == "at https://x/1\n"
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")


class _Echo:
    """A receiver that refuses, and says with which header; `far` into its answer."""

    def __init__(self, far: int = 0) -> None:
        self.far = far

    async def request(self, _method: str, _url: str, **parts: Any) -> Answered:
        said = "x" * self.far + " bad key: " + "; ".join(parts["headers"].values())
        return Answered(403, {}, said.encode())

    async def address(self, _host: str, _port: int) -> str:
        raise AssertionError("a webhook asks for no address")


@pytest.mark.parametrize("far", [0, 150, 165, 170, 176])
def test_a_receiver_that_echoes_a_webhook_s_headers_has_no_secret_told(far: int) -> None:
    config = {"url": "https://x.example/", "headers": {"Authorization": "Bearer topsecret-0123456789"}}
    with pytest.raises(DeliveryFailed) as refused:
        asyncio.run(Webhook().send(config, a_message(), _Echo(far)))
    assert "topsec" not in refused.value.detail
    assert (refused.value.permanent, refused.value.detail[:4]) == (True, "403 ")
