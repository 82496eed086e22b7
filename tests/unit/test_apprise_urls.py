"""Which URLs of apprise are taken: nothing that acts here, reads a file, or leads to an address nobody checked."""

import pytest

from tocsin.notify.channels.apprise_urls import fault


@pytest.mark.parametrize(
    "url",
    [
        "gotifys://push.example.org/token",
        "pover://user@token?priority=high&sound=siren",
        "json://u:p@example.org:8080/path?+X-Key=one&:field=two&method=PUT",
        "workflows://hooks.example.org/ABCDEFGHIJ/sig123456?route=a",
        "https://discord.com/api/webhooks/1/token",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops?image=no",
    ],
)
def test_a_service_asked_over_http_is_taken(url: str) -> None:
    assert fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "exec://rm", "file:///etc/passwd", "syslog://", "dbus://", "mailto://u:p@example.org", "mqtt://example.org",
        "matrixs://u:p@example.org", "xmpp://u:p@example.org", "fcm://project@key?keyfile=x", "http://127.0.0.1/",
        "vapid://a@example.org", "irc://example.org/x", "gotify", "", "://x", " json://example.org", "json://a\nb",
    ],
)  # fmt: skip
def test_anything_else_is_not(url: str) -> None:
    assert fault(url)


@pytest.mark.parametrize(
    "query",
    [
        "template=http://127.0.0.1/latest/meta-data", "template=/etc/passwd", "template=x", "TEMPLATE=x",
        "%74emplate=x", "+template=x", ":template=x", "a=b&template=x", "a=b;template=x", "a=b?template=x",
        "a=b#template=x", "a=http://127.0.0.1/", "a=http%3A%2F%2F127.0.0.1", "a=http%253A%252F%252F127.0.0.1",
        "a=/etc/passwd", "a=%2Fetc%2Fpasswd", "a=%252Fetc", "a=+/etc", "a=~/x", "a=../x", "a=file:x", "keyfile=x",
        "a=FILE:x", "subfile=x", "pgpkey=x", "attach=x", "include=x", "config=x", "cert=x", "key=x", "endpoint=x",
        "redirect=yes", "smtp=x",
    ],
)  # fmt: skip
def test_what_leads_to_a_file_or_another_address_is_not_taken_of_any_service(query: str) -> None:
    assert fault(f"workflows://hooks.example.org/ABCDEFGHIJ/sig123456?{query}")
