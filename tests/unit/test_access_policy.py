"""Who may come in: a table of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.access.policy import KEY_ADMIN, LOCAL_ADMIN, AccessPolicy, host_name, is_loopback
from tocsin.kit.errors import Forbidden, Unauthenticated

KEY = "correct horse battery staple"
OPEN = AccessPolicy(None)
KEYED = AccessPolicy(KEY)
CLOSED = AccessPolicy(None, loopback_admin=False)
HERE = [("host", "127.0.0.1:8080")]


def request(*headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("127.0.0.1", HERE),
        ("127.8.9.1", HERE),
        ("::1", [("host", "[::1]:8080")]),
        ("::ffff:127.0.0.1", HERE),
        ("127.0.0.1", [("host", "localhost")]),
        ("127.0.0.1", [("host", "LOCALHOST.:8080")]),
        ("127.0.0.1", [*HERE, ("origin", "http://127.0.0.1:8080")]),
        ("127.0.0.1", [*HERE, ("sec-fetch-site", "same-origin")]),
        ("127.0.0.1", [*HERE, ("sec-fetch-site", "none")]),
    ],
)
def test_a_local_program_acts_as_the_local_administrator(client: str, headers: list[tuple[str, str]]) -> None:
    assert OPEN.admit(client, request(*headers)) == LOCAL_ADMIN


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (None, HERE),
        ("10.0.0.7", HERE),
        ("::ffff:10.0.0.7", HERE),
        ("0.0.0.0", HERE),
        ("not an address", HERE),
        ("127.0.0.1", []),
        ("127.0.0.1", [("host", "")]),
        ("127.0.0.1", [("host", "evil.example")]),
        ("127.0.0.1", [("host", "evil.example:8080")]),
        ("127.0.0.1", [("host", "localhost.evil.example")]),
        ("127.0.0.1", [("host", "127.0.0.1.evil.example")]),
        ("127.0.0.1", [("host", "[::1")]),
        ("127.0.0.1", [("host", "0.0.0.0:8080")]),
        ("127.0.0.1", [*HERE, *HERE]),
        ("127.0.0.1", [*HERE, ("host", "evil.example")]),
        ("127.0.0.1", [*HERE, ("origin", "https://evil.example")]),
        ("127.0.0.1", [*HERE, ("origin", "http://127.0.0.1:9999")]),
        ("127.0.0.1", [*HERE, ("origin", "http://localhost:8080")]),
        ("127.0.0.1", [*HERE, ("origin", "null")]),
        ("127.0.0.1", [*HERE, ("origin", "")]),
        ("127.0.0.1", [*HERE, ("origin", "http://127.0.0.1:8080"), ("origin", "https://evil.example")]),
        ("127.0.0.1", [*HERE, ("origin", "https://evil.example"), ("origin", "http://127.0.0.1:8080")]),
        ("127.0.0.1", [*HERE, ("sec-fetch-site", "cross-site")]),
        ("127.0.0.1", [*HERE, ("sec-fetch-site", "Cross-Site")]),
        ("127.0.0.1", [*HERE, ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "none")]),
        ("127.0.0.1", [*HERE, ("forwarded", "for=10.0.0.7")]),
        ("127.0.0.1", [*HERE, ("via", "1.1 proxy")]),
        ("127.0.0.1", [*HERE, ("x-real-ip", "127.0.0.1")]),
        ("127.0.0.1", [*HERE, ("x-forwarded-for", "127.0.0.1")]),
        ("127.0.0.1", [*HERE, ("x-forwarded-proto", "https")]),
        ("127.0.0.1", [*HERE, ("x-forwarded-host", "")]),
    ],
)
def test_whoever_may_be_somebody_else_is_refused(client: str | None, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Forbidden):
        OPEN.admit(client, request(*headers))


@pytest.mark.parametrize("client", [None, "127.0.0.1", "10.0.0.7"])
@pytest.mark.parametrize("more", [[], [("host", "tocsin.example"), ("x-forwarded-for", "10.0.0.7")]])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_key_opens_from_anywhere(client: str | None, more: list[tuple[str, str]], scheme: str) -> None:
    assert KEYED.admit(client, request(("authorization", f"{scheme} {KEY}"), *more)) == KEY_ADMIN


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {KEY}x", f"Basic {KEY}", KEY, f"Bearer{KEY}"]
)
def test_a_wrong_key_is_refused_even_from_this_machine(authorization: str) -> None:
    for policy in (KEYED, OPEN, CLOSED):
        with pytest.raises(Unauthenticated):
            policy.admit("127.0.0.1", request(*HERE, ("authorization", authorization)))


def test_with_a_key_set_this_machine_needs_it_too() -> None:
    with pytest.raises(Unauthenticated):
        KEYED.admit("127.0.0.1", request(*HERE))


def test_with_loopback_administration_off_nobody_comes_in_without_a_key() -> None:
    with pytest.raises(Forbidden):
        CLOSED.admit("127.0.0.1", request(*HERE))


@pytest.mark.parametrize(
    ("authority", "host"),
    [("a", "a"), ("a:80", "a"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("::1", "::1"), (":80", ""), ("", "")],
)
def test_the_host_of_an_authority(authority: str, host: str) -> None:
    assert host_name(authority) == host


@given(st.binary(max_size=40), st.text(max_size=20))
def test_any_header_bytes_are_admitted_or_refused(value: bytes, client: str) -> None:
    for name in (b"host", b"origin", b"authorization", b"sec-fetch-site", b"forwarded"):
        for policy in (OPEN, KEYED):
            try:
                policy.admit(client, [(b"host", b"127.0.0.1"), (name, value)])
            except (Forbidden, Unauthenticated):
                continue


@given(st.ip_addresses())
def test_loopback_is_what_the_address_says(address: object) -> None:
    assert is_loopback(str(address)) in {True, False}
