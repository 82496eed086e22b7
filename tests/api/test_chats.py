"""Chats, push and phones against a real receiver: what is sent, how it is kept up to date, what a refusal means."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from outward import Loopback, Receiver, a_message, receiving, refused, sent
from tocsin.notify.channels import twilio
from tocsin.notify.channels.apprise import Apprise
from tocsin.notify.channels.channel import Channel
from tocsin.notify.channels.discord import Discord
from tocsin.notify.channels.ntfy import Ntfy
from tocsin.notify.channels.slack import Slack
from tocsin.notify.channels.teams import Teams
from tocsin.notify.channels.telegram import Telegram
from tocsin.notify.message import Action, DeliveryFailed, Kind

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # apprise imports it

EVIL = "<!channel> <https://evil.example|here> [x](javascript:y) & </b><script>"
SID = "AC" + "0" * 32
TOKEN = "123456:AAExampleTokenOfABot"


@pytest.fixture
def provider() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def bot(provider: Receiver, **fields: Any) -> dict[str, Any]:
    return {"token": "xoxb-1234-secret", "channel": "C024BE91L", "api_url": f"{provider.url}/api", **fields}


def test_slack_is_sent_blocks_with_buttons_and_nothing_in_them_mentions_anybody(provider: Receiver) -> None:
    provider.answer(200, b"ok")
    assert sent(Slack(), {"url": f"{provider.url}/services/T/B/X"}, a_message(text=EVIL)).answer == "ok"
    said = provider.last.json
    header, section, facts, buttons = said["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "P2 payments: database connection lost", "emoji": False}
    assert section["text"]["text"].startswith("&lt;!channel&gt; &lt;<https://evil.example>|here&gt;")
    assert section["text"]["verbatim"]
    assert facts["fields"][0]["text"] == "*Service*\npayments"
    assert buttons["elements"][0]["url"] == "https://tocsin.example.org/act/A1"
    sent(Slack(), {"url": provider.url, "interactive": True}, a_message())
    first = provider.last.json["blocks"][-1]["elements"][0]
    assert (first["value"], "url" in first, first["action_id"]) == ("A1", False, "acknowledge")


def test_slack_keeps_its_message_up_to_date_and_tells_the_story_in_the_thread(provider: Receiver) -> None:
    provider.answer(200, {"ok": True, "channel": "C1", "ts": "171.5"})
    posted = sent(Slack(), bot(provider), a_message())
    assert (posted.reference, provider.last.path) == ("C1:171.5", "/api/chat.postMessage")
    assert provider.last.headers["authorization"] == "Bearer xoxb-1234-secret"
    kept = sent(Slack(), bot(provider), a_message(kind=Kind.ACKNOWLEDGED, earlier=posted.reference))
    assert kept.reference == posted.reference
    update, reply = provider.heard[-2:]
    assert (update.path, update.json["ts"]) == ("/api/chat.update", "171.5")
    assert (reply.json["thread_ts"], "reply_broadcast" in reply.json) == ("171.5", False)
    sent(Slack(), bot(provider), a_message(kind=Kind.REOPENED, earlier=posted.reference))
    assert (provider.last.path, provider.last.json["reply_broadcast"]) == ("/api/chat.postMessage", True)


def test_slack_posts_anew_when_somebody_deleted_the_message(provider: Receiver) -> None:
    provider.answer(200, {"ok": False, "error": "message_not_found"})
    provider.answer(200, {"ok": True, "channel": "C1", "ts": "9.9"})
    again = sent(Slack(), bot(provider), a_message(kind=Kind.RESOLVED, earlier="C1:171.5"))
    assert (again.reference, "thread_ts" in provider.last.json) == ("C1:9.9", False)


@pytest.mark.parametrize(
    ("status", "body", "permanent", "gone", "words"),
    [
        (200, {"ok": False, "error": "invalid_auth"}, True, False, "the token is not valid"),
        (200, {"ok": False, "error": "not_in_channel"}, True, False, "/invite"),
        (200, {"ok": False, "error": "is_archived"}, True, True, "archived"),
        (200, {"ok": False, "error": "internal_error"}, False, False, "internal_error"),
        (200, b"<html>a proxy</html>", False, False, "an answer that is none"),
        (503, b"", False, False, "503"),
        (302, b"", True, False, "302"),
    ],
)
def test_slack_says_why_not(
    provider: Receiver, status: int, body: Any, permanent: bool, gone: bool, words: str
) -> None:
    provider.answer(status, body)
    failed = refused(Slack(), bot(provider), a_message())
    assert (failed.permanent, failed.gone, words in failed.detail) == (permanent, gone, True), failed.detail


def test_slack_is_given_the_time_it_asks_for_and_a_webhook_that_is_gone_stays_gone(provider: Receiver) -> None:
    provider.answer(429, b"", Retry_After="30")
    assert refused(Slack(), bot(provider), a_message()).retry_after_s == 30
    provider.answers.clear()
    provider.answer(410, b"channel_is_archived")
    assert refused(Slack(), {"url": f"{provider.url}/services/secret"}, a_message()).gone


def test_slack_takes_what_is_cut_to_its_limits(provider: Receiver) -> None:
    provider.answer(200, b"ok")
    long = a_message(title="t" * 500, text="&" * 9000, facts=tuple((f"n{i}", "<" * 5000) for i in range(30)))
    sent(Slack(), {"url": provider.url}, long)
    header, section, facts, _ = provider.last.json["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000
    assert section["text"]["text"].endswith("&amp;…")
    assert len(facts["fields"]) == 10
    assert max(len(one["text"]) for one in facts["fields"]) <= 2000


def test_teams_is_sent_a_card_without_markdown_within_its_size(provider: Receiver) -> None:
    provider.answer(202)
    assert sent(Teams(), {"url": provider.url}, a_message(text=f"{EVIL}\n" + "ü" * 50_000)).answer == "202"
    said = provider.last.json
    assert len(provider.last.body) <= 28_000
    [attachment] = said["attachments"]
    card = attachment["content"]
    assert (attachment["contentType"], card["type"]) == ("application/vnd.microsoft.card.adaptive", "AdaptiveCard")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["body"][1]["inlines"][0]["text"].startswith("<!channel>")
    assert [one["type"] for one in card["actions"]] == ["Action.OpenUrl"] * 3
    provider.answers.clear()
    provider.answer(
        200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    )
    assert not refused(Teams(), {"url": provider.url}, a_message()).permanent


def telegram(provider: Receiver) -> dict[str, Any]:
    return {"token": TOKEN, "chat_id": "-100123", "api_url": provider.url}


def test_telegram_sends_escaped_html_with_buttons_and_edits_its_message(provider: Receiver) -> None:
    provider.answer(200, {"ok": True, "result": {"message_id": 77}})
    posted = sent(Telegram(), telegram(provider), a_message(text=EVIL))
    said = provider.last.json
    assert (provider.last.path, posted.reference) == (f"/bot{TOKEN}/sendMessage", "77")
    assert said["text"].endswith(
        "&lt;!channel&gt; &lt;https://evil.example|here&gt; [x](javascript:y) &amp; &lt;/b&gt;&lt;script&gt;"
    )
    assert [one["text"] for one in said["reply_markup"]["inline_keyboard"][0]] == ["Acknowledge", "Resolve", "Open"]
    kept = sent(Telegram(), telegram(provider), a_message(kind=Kind.RESOLVED, earlier="77"))
    edit, reply = provider.heard[-2:]
    assert (edit.path.rpartition("/")[2], edit.json["message_id"], kept.reference) == ("editMessageText", 77, "77")
    assert reply.json["reply_parameters"]["message_id"] == 77


def test_telegram_takes_4096_characters_and_no_more(provider: Receiver) -> None:
    provider.answer(200, {"ok": True, "result": {"message_id": 1}})
    sent(Telegram(), telegram(provider), a_message(text="😀<" * 4000, actions=()))
    shown = provider.last.json["text"].replace("&lt;", "<").replace("<b>", "").replace("</b>", "")
    assert 3900 < len(shown.encode("utf-16-le")) // 2 <= 4096


def test_telegram_puts_links_that_it_takes_for_no_links_into_the_text(provider: Receiver) -> None:
    provider.answer(
        400,
        {
            "ok": False,
            "error_code": 400,
            "description": "Bad Request: inline keyboard button URL 'http://tocsin' is invalid",
        },
    )
    provider.answer(200, {"ok": True, "result": {"message_id": 5}})
    sent(
        Telegram(),
        telegram(provider),
        a_message(actions=(Action("acknowledge", "Acknowledge", "http://tocsin/act/A"),)),
    )
    assert provider.last.json["text"].endswith("\nAcknowledge: http://tocsin/act/A")
    assert "reply_markup" not in provider.last.json


MOVED = {"description": "upgraded", "parameters": {"migrate_to_chat_id": -1009}}


@pytest.mark.parametrize(
    ("status", "body", "permanent", "gone", "wait", "words"),
    [
        (429, {"description": "Too Many Requests", "parameters": {"retry_after": 7}}, False, False, 7.0, "429"),
        (401, {"description": "Unauthorized"}, True, False, None, "the token is not valid"),
        (403, {"description": "Forbidden: bot was blocked by the user"}, True, True, None, "blocked"),
        (400, {"description": "Bad Request: chat not found"}, True, False, None, "chat not found"),
        (400, MOVED, True, False, None, "-1009"),
        (502, {"description": "Bad Gateway"}, False, False, None, "502"),
    ],
)
def test_telegram_says_why_not(
    provider: Receiver, status: int, body: Any, permanent: bool, gone: bool, wait: float | None, words: str
) -> None:
    provider.answer(status, {"ok": False, "error_code": status, **body})
    failed = refused(Telegram(), telegram(provider), a_message())
    assert (failed.permanent, failed.gone, failed.retry_after_s) == (permanent, gone, wait)
    assert words in failed.detail
    assert TOKEN not in failed.detail


def test_what_can_not_be_reached_is_told_without_the_secret_in_its_address() -> None:
    failed = refused(Telegram(), {"token": TOKEN, "chat_id": "1", "api_url": "http://127.0.0.1:9"}, a_message())
    assert (failed.permanent, "bot***" in failed.detail, TOKEN in failed.detail) == (False, True, False)


def test_ntfy_is_published_as_json_with_buttons_that_act(provider: Receiver) -> None:
    provider.answer(200, {"id": "sPs71M8A2T"})
    config = {"url": provider.url, "to": "alerts-4f2", "token": "tk_secret"}
    assert sent(Ntfy(), config, a_message(text="ü" * 9000)).reference == "sPs71M8A2T"
    said = provider.last.json
    assert (said["topic"], said["priority"], said["click"]) == ("alerts-4f2", 4, "https://tocsin.example.org/tickets/7")
    assert len(said["message"].encode()) <= 4096
    assert [(one["action"], one.get("method")) for one in said["actions"]] == [
        ("http", "POST"),
        ("http", "POST"),
        ("view", None),
    ]
    assert provider.last.headers["authorization"] == "Bearer tk_secret"
    sent(
        Ntfy(),
        {"url": provider.url, "topic": "all", "username": "u", "password": "p"},
        a_message(kind=Kind.UPDATED, text=""),
    )
    assert provider.last.headers["authorization"].startswith("Basic ")
    assert {one["action"] for one in provider.last.json["actions"]} == {"view"}
    assert (provider.last.json["priority"], provider.last.json["message"]) == (
        3,
        "P2 payments: database connection lost",
    )


def sms(provider: Receiver, **fields: Any) -> dict[str, Any]:
    known = {"account_sid": SID, "auth_token": "a-secret-token", "from": "+15005550006", "to": "+351912345678"}
    return {**known, "api_url": provider.url, **fields}


def test_a_text_message_keeps_its_link_and_costs_no_more_than_it_may(provider: Receiver) -> None:
    provider.answer(201, {"sid": "SM1"})
    receipt = sent(twilio.Sms(), sms(provider), a_message(text="– “lost” … " + "x" * 3000))
    form = provider.last.form
    assert (receipt.reference, receipt.answer) == ("SM1", "queued, 3 segments")
    assert provider.last.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert (form["To"], form["From"]) == ("+351912345678", "+15005550006")
    assert form["Body"].endswith("...\nhttps://tocsin.example.org/act/A1")
    assert len(form["Body"]) <= 3 * 153
    sent(twilio.Sms(), sms(provider, max_segments=1), a_message(text="数据库" * 100))
    assert twilio.segments_of(provider.last.form["Body"]) == 1


def test_a_call_says_it_twice_and_nothing_of_a_log_becomes_an_order(provider: Receiver) -> None:
    provider.answer(201, {"sid": "CA1"})
    config = {**sms(provider), "voice": "Polly.Amy"}
    sent(twilio.Voice(), config, a_message(text='</Say><Dial>+1900</Dial> & https://x.org/y "z"\x01' + "<" * 5000))
    twiml = provider.last.form["Twiml"]
    assert provider.last.path.endswith("/Calls.json")
    assert (twiml.count("<Say voice="), "<Dial>" in twiml, "https://" in twiml, "\x01" in twiml) == (
        2,
        False,
        False,
        False,
    )
    assert len(twiml) <= 4000
    sent(twilio.Voice(), {**config, "keypress": True}, a_message())
    gather = provider.last.form["Twiml"]
    assert 'action="https://tocsin.example.org/act/A1/phone"' in gather
    assert gather.count("Press 4 to acknowledge.") == 2


@pytest.mark.parametrize(
    ("status", "body", "permanent", "words"),
    [
        (401, {"code": 20003, "message": "Authenticate"}, True, "not valid"),
        (400, {"code": 21211, "message": "Invalid 'To'"}, True, "21211"),
        (429, {"code": 20429, "message": "Too Many Requests"}, False, "too often"),
        (500, b"", False, "500"),
    ],
)
def test_twilio_says_why_not(provider: Receiver, status: int, body: Any, permanent: bool, words: str) -> None:
    provider.answer(status, body)
    failed = refused(twilio.Sms(), sms(provider), a_message())
    assert (failed.permanent, words in failed.detail, "a-secret-token" in failed.detail) == (permanent, True, False)


def test_discord_mentions_nobody_and_edits_its_message(provider: Receiver) -> None:
    provider.answer(200, {"id": "991"})
    config = {"url": f"{provider.url}/api/webhooks/1/hook-token"}
    posted = sent(Discord(), config, a_message(text="@everyone " + EVIL))
    said = provider.last.json
    assert (provider.last.path, said["allowed_mentions"]) == ("/api/webhooks/1/hook-token?wait=true", {"parse": []})
    assert "\\[x\\]\\(javascript:y\\)" in said["embeds"][0]["description"]
    sent(Discord(), config, a_message(kind=Kind.RESOLVED, earlier=posted.reference))
    assert (provider.last.method, provider.last.path) == ("PATCH", "/api/webhooks/1/hook-token/messages/991")
    provider.answers.clear()
    provider.answer(429, {"retry_after": 1.5})
    assert refused(Discord(), config, a_message()).retry_after_s == 1.5


def test_apprise_sends_to_a_service_it_knows_and_the_host_is_checked_first(provider: Receiver) -> None:
    provider.answer(200, b"")
    outside = Loopback()
    config = {"url": provider.url.replace("http://", "json://") + "/hook-secret"}
    assert sent(Apprise(), config, a_message(), outside).answer == "taken"
    assert outside.asked_addresses == [("127.0.0.1", int(provider.url.rpartition(":")[2]))]
    said = provider.last.json
    assert (said["title"], said["type"]) == ("P2 payments: database connection lost", "failure")
    assert "Acknowledge: https://tocsin.example.org/act/A1" in said["message"]
    provider.answers.clear()
    provider.answer(500, b"broken")
    failed = refused(Apprise(), config, a_message())
    assert (failed.permanent, "hook-secret" in failed.detail, failed.detail.startswith("apprise: ")) == (
        False,
        False,
        True,
    )


def test_apprise_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    [error] = Apprise().check({"url": "json://example.org"})
    assert "pip install 'tocsin[apprise]'" in error.detail


def test_what_nobody_is_to_receive_is_not_sent(provider: Receiver) -> None:
    config = {name: value for name, value in sms(provider).items() if name != "to"}
    assert refused(twilio.Sms(), config, a_message()).permanent
    assert provider.heard == []


def test_apprise_asks_no_address_of_this_network() -> None:
    failed = refused(Apprise(), {"url": "json://169.254.169.254/latest"}, a_message())
    assert failed.permanent


def test_apprise_is_not_led_on_by_a_service(provider: Receiver) -> None:
    provider.answer(302, b"", Location=f"{provider.url}/elsewhere")
    url = provider.url.replace("http://", "json://")
    assert refused(Apprise(), {"url": f"{url}/hook-secret"}, a_message()).detail.startswith("apprise: ")
    assert [heard.path for heard in provider.heard] == ["/hook-secret"]
    for argument in ("template=/etc/passwd", f"a={provider.url}"):
        with pytest.raises(DeliveryFailed, match="is not taken"):  # however it came to be saved
            asyncio.run(Apprise().send({"url": f"{url}/?{argument}"}, a_message(), Loopback()))
    assert len(provider.heard) == 1


WRONG: list[tuple[Channel, dict[str, Any], str]] = [
    (Slack(), {}, "/url"),
    (Slack(), {"url": "https://x.org", "token": "xoxb-1234"}, "/url"),
    (Slack(), {"token": "xoxb-1234"}, "/channel"),
    (Slack(), {"url": "ftp://x"}, "/url"),
    (Slack(), {"url": "https://u:p@x.org"}, "/url"),
    (Slack(), {"url": "https://x.org", "colour": 1}, "/colour"),
    (Teams(), {}, "/url"),
    (Telegram(), {"token": "x", "chat_id": "1"}, "/token"),
    (Telegram(), {"token": TOKEN}, "/chat_id"),
    (Ntfy(), {}, "/topic"),
    (Ntfy(), {"topic": "a/b"}, "/topic"),
    (twilio.Sms(), {"account_sid": SID, "auth_token": "x"}, "/from"),
    (twilio.Sms(), {"account_sid": SID, "from": "+15005550006"}, "/auth_token"),
    (twilio.Sms(), {"account_sid": SID, "auth_token": "x", "from": "+15005550006", "to": "912"}, "/to"),
    (twilio.Voice(), {"account_sid": SID, "auth_token": "x"}, "/from"),
    (Discord(), {"url": "x\ny"}, "/url"),
    (Apprise(), {"url": "nothing://x"}, "/url"),
    *[(Apprise(), {"url": url}, "/url") for url in ("syslog://", "dbus://", "file:///etc/passwd", "exec://rm")],
]


@pytest.mark.parametrize(("channel", "config", "pointer"), WRONG)
def test_settings_that_are_wrong_are_named(channel: Channel, config: dict[str, Any], pointer: str) -> None:
    assert pointer in [error.pointer for error in channel.check(config)]
