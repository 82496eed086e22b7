"""serve and migrate: who may start, who may come in, and how it ends."""

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from running import KEY, Load, Result, command, environment, exchange, stored_ids

from postgres import PostgresServer
from tocsin.settings import Settings


def wait_until(true, *, timeout_s: float = 5) -> None:
    ends = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < ends, "it did not come true in time"


def one_line(done: Result) -> str:
    """What a command that failed told, which must be one line."""
    assert (done.code, done.out) == (1, "")
    [line] = done.err.splitlines()
    return line


def newer(data: Path) -> None:
    """Mark an installation as migrated by a program of the future."""
    with contextlib.closing(sqlite3.connect(data / "tocsin.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


def test_a_server_says_where_it_listens_and_keeps_its_state(server):
    text = "".join(server.announced)
    assert server.url in text
    assert f"{server.url}/docs" in text
    assert str(server.data) in text
    assert server.ask("GET", "/readyz")[0] == 200


def test_with_log_format_json_even_the_announcement_is_a_json_line(tmp_path):
    with subprocess.Popen(
        command("serve", "--data", tmp_path, "--port", "0", "--log-format", "json"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        said = json.loads(process.stderr.readline())
        process.terminate()
    assert (said["event"], said["docs"]) == ("listening", said["url"] + "/docs")


def test_a_second_server_on_the_same_folder_is_refused_by_name(server, tocsin):
    line = one_line(tocsin("serve", "--data", server.data, "--port", "0"))
    assert f"The data folder {server.data} is in use by another Tocsin server (process {server.pid})" in line


def test_a_port_in_use_is_told_in_one_line(tocsin, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(tocsin("serve", "--data", tmp_path, "--port", port))
    assert f"Can't listen on 127.0.0.1 port {port}: Address already in use" in line


def test_a_host_that_is_not_of_this_machine_is_told_in_one_line(tocsin, tmp_path, monkeypatch):
    monkeypatch.setenv("TOCSIN_ADMIN_KEY", KEY)
    line = one_line(tocsin("serve", "--data", tmp_path, "--host", "192.0.2.1"))
    assert "Can't listen on 192.0.2.1 port 8000: Cannot assign requested address" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_machines_are_not_let_in_without_a_key(host, tmp_path, tocsin):
    result = tocsin("serve", "--data", tmp_path / "data", "--host", host)
    assert result.code == 1
    assert f"Listening on {host} would let other machines in" in result.err
    assert not (tmp_path / "data").exists()


def test_with_a_key_every_address_is_served_to_those_who_have_it(start, tocsin, tmp_path, monkeypatch):
    server = start(None, "--host", "0.0.0.0", TOCSIN_ADMIN_KEY=KEY)
    assert server.ask("GET", "/tickets")[0] == 401
    assert server.ask("GET", "/tickets", key="wrong-" + KEY)[0] == 401
    assert server.ask("GET", "/tickets", key=KEY) == (200, {"items": [], "next": None})
    assert server.ask("GET", "/healthz")[0] == 200
    refused = tocsin("tickets", "list", "--url", server.url)
    assert (refused.code, "A key is needed" in refused.err) == (4, True)
    (tmp_path / "key").write_text(KEY + "\n")
    assert tocsin("tickets", "list", "--url", server.url, "--key-file", tmp_path / "key").code == 0
    monkeypatch.setenv("TOCSIN_KEY", KEY)
    assert tocsin("tickets", "list", "--url", server.url).code == 0


def test_a_setting_that_is_wrong_is_named_without_its_value(tocsin, tmp_path, monkeypatch):
    monkeypatch.setenv("TOCSIN_ADMIN_KEY", "hunter2")
    result = tocsin("serve", "--data", tmp_path)
    assert (result.code, "shorter than 16 characters" in result.err) == (2, True)
    assert "hunter2" not in result.err
    monkeypatch.setenv("TOCSIN_ADMIN_KEY", KEY)
    assert "TOCSIN_LOG_LEVEL" in tocsin("serve", "--data", tmp_path, "--log-level", "loud").err


def test_a_database_of_a_newer_program_is_refused(tocsin, installation):
    newer(installation)
    line = one_line(tocsin("serve", "--data", installation, "--port", "0"))
    assert "at revision 9999, which is newer than this program's" in line


def test_on_sigterm_what_was_accepted_is_finished_and_no_client_can_hold_the_end_up(start, open_api):
    server = start()
    load = Load(server)
    with socket.create_connection(("127.0.0.1", server.port)) as never_done:
        never_done.sendall(b"POST /logs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{")
        load.wait_for(300)
        signalled = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert time.monotonic() - signalled < 10
    load.stop()
    assert not set(load.refused) - {503}
    acknowledged = load.snapshot()
    again = open_api(Settings(data_dir=server.data))
    assert acknowledged.keys() <= stored_ids(again)
    alerts = again.get("/alerts?limit=1000").json()
    counted = Counter({alert["service"]: alert["count"] for alert in alerts["items"] if alert["ticket_id"]})
    critical = Counter(service for service in acknowledged.values() if service.startswith("bad-"))
    assert critical <= counted


def test_a_request_under_way_at_sigterm_is_answered_and_idle_connections_are_closed(start, open_api):
    server = start()
    body = b'{"message": "half sent when the signal came"}'
    with contextlib.closing(server.connect()) as idle, socket.create_connection(("127.0.0.1", server.port)) as slow:
        exchange(idle, "GET", "/healthz")
        head = f"POST /logs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n"
        slow.sendall(head.encode() + body[:10])
        exchange(idle, "GET", "/healthz")
        server.signal(signal.SIGTERM)
        wait_until(lambda: not server.takes_connections())
        slow.sendall(body[10:])
        slow.settimeout(5)
        assert slow.recv(1000).startswith(b"HTTP/1.1 201 ")
    assert server.wait(5) == 0
    assert open_api(Settings(data_dir=server.data)).get("/logs/1").json()["message"] == "half sent when the signal came"


def test_a_second_interrupt_ends_the_server_at_once(start):
    server = start()
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /logs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{")
        server.ask("GET", "/healthz")
        server.signal(signal.SIGINT)
        wait_until(lambda: not server.takes_connections())
        server.signal(signal.SIGINT)
        assert server.wait(4) == 130


def test_migrate_sets_a_folder_up_and_then_has_nothing_to_do(tocsin, tmp_path):
    assert tocsin("migrate", "--data", tmp_path).out.startswith("Migrated from empty to ")
    assert tocsin("migrate", "--data", tmp_path).out.startswith("Nothing to do")
    newer(tmp_path)
    assert (result := tocsin("migrate", "--data", tmp_path)).code == 1
    assert "is newer than this program's" in result.err


def test_a_shared_database_is_migrated_only_when_asked(tocsin, tmp_path, monkeypatch, postgres_server: PostgresServer):
    url = postgres_server.create("cli_migrate")
    monkeypatch.setenv("TOCSIN_DATABASE_URL", url)
    line = one_line(tocsin("serve", "--port", "0"))
    monkeypatch.delenv("TOCSIN_DATABASE_URL")
    assert "The database is empty" in line
    assert "run `tocsin migrate`" in line
    (tmp_path / "url").write_text(url)
    monkeypatch.setenv("TOCSIN_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert tocsin("migrate").out.startswith("Migrated from empty to ")
    assert tocsin("migrate").out.startswith("Nothing to do")
    assert tocsin("backup", tmp_path / "copy.tar").code == 2


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/x", "Connection refused"),
        ("nonsense hunter2", "TOCSIN_DATABASE_URL is not a URL"),
    ],
)
def test_a_database_that_is_not_there_is_told_without_its_password(url, told, tocsin, monkeypatch):
    monkeypatch.setenv("TOCSIN_DATABASE_URL", url)
    result = tocsin("migrate")
    assert (result.code, told in result.err, "hunter2" in result.err) == (1, True, False)
    assert len(result.err.splitlines()) == 1
