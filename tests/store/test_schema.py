"""Migrations: from empty to what the models say, on both databases; a newer database is refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from desk import in_threads
from postgres import PostgresServer
from tocsin.kit.clock import SystemClock
from tocsin.kit.errors import StartRefused
from tocsin.main import Instance
from tocsin.query.parse import parse
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.storage.columns import metadata
from tocsin.storage.database import Database, open_database
from tocsin.tickets import text_store
from tocsin.tickets.fields import TICKETS


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """An installation without any table."""
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.clone("template0") as url:
        yield Settings(data_dir=tmp_path, database_url=url)


def open_(settings: Settings) -> Database:
    return open_database(settings.database_secret, settings.data_dir, clock=SystemClock(), routes={})


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """The indexes of words are not tables that both databases have (`tickets.text_store`)."""
    return kind != "table" or not (name or "").startswith(("ticket_terms", "comment_terms"))


def test_the_newest_migration_is_alembics_head() -> None:
    script = ScriptDirectory(str(schema.MIGRATIONS))
    assert script.get_heads() == [schema.known_revisions()[-1]]
    assert [revision.revision for revision in script.walk_revisions()][::-1] == schema.known_revisions()


def test_an_empty_database_is_migrated_to_exactly_what_the_models_say(empty: Settings) -> None:
    database = open_(empty)
    assert schema.ensure(database, migrate=True)
    assert not schema.ensure(database, migrate=True)
    with database.dialect.writers.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        assert compare_metadata(context, metadata) == []
    assert schema.revision_of(database.dialect.writers) == schema.known_revisions()[-1]
    database.close()


def test_a_migrated_installation_can_be_used(empty: Settings) -> None:
    database = open_(empty)
    schema.ensure(database, migrate=True)
    database.close()
    instance = Instance(empty)
    instance.services.database.check_writable()
    instance.close()


def test_two_that_migrate_at_once_wait_for_each_other(empty: Settings) -> None:
    if empty.database_secret is None:
        pytest.skip("an embedded database has one server at a time")
    databases = [open_(empty) for _ in range(3)]
    outcomes = in_threads(*[lambda d=d: schema.ensure(d, migrate=True) for d in databases])
    for database in databases:
        database.close()
    assert all(isinstance(outcome, bool) for outcome in outcomes), outcomes


def test_a_database_of_a_newer_program_is_refused_by_both_revisions(settings: Settings) -> None:
    database = open_(settings)
    with database.dialect.writers.connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for migrate in (True, False):
        with pytest.raises(StartRefused, match="9999, which is newer than this program's 0"):
            schema.ensure(database, migrate=migrate)
    database.close()
    with pytest.raises(StartRefused, match="newer"):
        Instance(settings)


def test_an_empty_shared_database_is_not_migrated_unasked(empty: Settings) -> None:
    database = open_(empty)
    with pytest.raises(StartRefused, match="tocsin migrate"):
        schema.ensure(database, migrate=False)
    database.close()


def test_a_second_server_on_the_same_folder_is_refused_by_name(sqlite_settings: Settings) -> None:
    instance = Instance(sqlite_settings)
    with pytest.raises(StartRefused, match=r"in use by another Tocsin server \(process \d+\)"):
        Instance(sqlite_settings)
    instance.close()
    Instance(sqlite_settings).close()


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartRefused, match="can't be used"):
        Instance(Settings(data_dir=tmp_path / "file" / "data"))


def test_a_start_that_fails_lets_go_of_the_folder(sqlite_settings: Settings) -> None:
    database = open_(sqlite_settings)
    revision = schema.known_revisions()[-1]
    for there, outcome in (("9999", StartRefused), (revision, None)):
        with database.dialect.writers.connect() as connection, connection.begin():
            connection.execute(text("UPDATE alembic_version SET version_num = :there"), {"there": there})
        if outcome is None:
            Instance(sqlite_settings).close()
        else:
            with pytest.raises(outcome):
                Instance(sqlite_settings)
    database.close()


def test_segments_from_before_hours_were_sealed_are_of_commits_before_them(empty: Settings) -> None:
    database = open_(empty)
    schema.ensure(database, migrate=True)
    script = (schema.MIGRATIONS / "versions" / "0010_sealed_hours.py").read_text()
    [fill] = re.findall(r"op\.execute\(\n(.*?)\n    \)", script, re.DOTALL)
    statement = "".join(re.findall(r'"(.*)"', fill))
    minute = 60_000_000
    with database.dialect.writers.connect() as connection, connection.begin():
        for at in (10, 20, 30):
            connection.execute(
                text(
                    "INSERT INTO events (at, recorded_at, kind, subject, actor, data, position)"
                    " VALUES (:at, :at, 'LogsStored', 'logs', 'system', '{}', :position)"
                ),
                {"at": at * minute, "position": at},
            )
        for created in (5, 15, 31):
            connection.execute(
                text(
                    "INSERT INTO segments (key, first_id, last_id, records, size_bytes, raw_bytes, sha256, min_at,"
                    " max_at, severities, services, layout, raw_rows, stray, created_at)"
                    " VALUES (:key, 1, 1, 1, 1, 1, '', 0, 0, 0, '{}', '{}', 0, :no, :created)"
                ),
                {"key": str(created), "created": created * minute, "no": False},
            )
        connection.execute(text(statement))
        found = connection.execute(text("SELECT position FROM segments ORDER BY created_at")).scalars().all()
    database.close()
    assert found == [1, 11, 31]


def test_tickets_and_comments_from_before_there_was_an_index_of_words_are_found(empty: Settings) -> None:
    database = open_(empty)
    schema.upgrade(database.dialect.writers, "0014")
    ticket = (
        "INSERT INTO tickets (status, priority, title, description, opened_by, opened_at, updated_at,"
        " acknowledge_from, reopen_count, version)"
        " VALUES ('OPEN', 3, 'Disk full', 'on node 7', 'ana', 1, 1, 1, 0, 1)"
    )
    comment = (
        "INSERT INTO ticket_comments (ticket_id, text, author, created_at, version) VALUES (1, 'Swept it', 'ana', 1, 1)"
    )
    with database.dialect.writers.connect() as connection, connection.begin():
        for statement in (ticket, comment):
            connection.execute(text(statement))
    schema.ensure(database, migrate=True)
    for q in ("full", "node", "swept"):
        node = parse(q, TICKETS, now=database.clock.now())
        assert database.read(lambda tx, node=node: text_store.narrowed(tx, node)) == [1]
    database.close()
