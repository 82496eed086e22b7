"""Idempotency keys: claimed with the change, kept a day, refused for another request."""

import threading

import pytest
from sqlalchemy import func, select

from desk import ANA, PATIENCE_S, RUI, Desk, FakeClock, critical, in_threads
from tocsin.kit.errors import IdempotencyMismatch, Invalid
from tocsin.logs.intake import Stored
from tocsin.storage import idempotency
from tocsin.storage.database import Database
from tocsin.storage.idempotency import Answer, KeyedRequest, keyed_request
from tocsin.storage.model import idempotency_keys
from tocsin.storage.tx import Tx

ANSWER = Answer(201, {"content-type": "application/json", "location": "/x/1"}, b'{"id":1}')
REQUEST = keyed_request("local:ana", "key-1", b"POST", b"/x", b"body")


def answer_once(database: Database, request: KeyedRequest, answer: Answer = ANSWER) -> Answer | None:
    """What a handler does: claim, work, keep."""

    def work(tx: Tx) -> Answer | None:
        earlier = idempotency.claim(tx, request)
        if earlier is None:
            idempotency.keep(tx, request, answer)
        return earlier

    return database.write(work, actor=ANA)


def test_the_first_request_is_new_and_its_repeat_gets_the_first_answer(database: Database) -> None:
    assert answer_once(database, REQUEST) is None
    assert answer_once(database, REQUEST, Answer(500, {}, b"other")) == ANSWER
    assert database.read(lambda tx: idempotency.earlier_answer(tx, REQUEST)) == ANSWER


def test_another_request_under_the_same_key_is_refused(database: Database) -> None:
    answer_once(database, REQUEST)
    with pytest.raises(IdempotencyMismatch):
        answer_once(database, keyed_request("local:ana", "key-1", b"POST", b"/x", b"other body"))


def test_keys_of_different_credentials_are_different_keys(database: Database) -> None:
    answer_once(database, REQUEST)
    assert answer_once(database, keyed_request("local:rui", "key-1", b"POST", b"/x", b"other")) is None


def test_parts_of_a_request_are_not_run_together() -> None:
    one = keyed_request("c", "k", b"ab", b"c")
    assert one.request_hash != keyed_request("c", "k", b"a", b"bc").request_hash
    assert one.request_hash != keyed_request("c", "k", b"abc").request_hash


def test_a_quoted_key_is_the_key_within() -> None:
    assert keyed_request("c", '"k"', b"").key == keyed_request("c", " k ", b"").key == "k"


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "a\tb", "a\x00b", '""'])
def test_an_unusable_key_is_invalid(key: str) -> None:
    with pytest.raises(Invalid):
        keyed_request("c", key, b"")


def test_a_key_is_kept_for_24_hours(database: Database, clock: FakeClock) -> None:
    answer_once(database, REQUEST)
    clock.advance(hours=24)
    assert answer_once(database, REQUEST) == ANSWER
    clock.advance(microseconds=1)
    assert database.read(lambda tx: idempotency.earlier_answer(tx, REQUEST)) is None
    assert answer_once(database, REQUEST) is None


def test_expired_keys_are_forgotten_in_slices_and_fresh_ones_stay(database: Database, clock: FakeClock) -> None:
    for n in range(3):
        answer_once(database, keyed_request("c", f"old-{n}", b""))
    clock.advance(hours=25)
    answer_once(database, REQUEST)
    assert database.write(idempotency.forget_expired, actor=ANA) == 3
    assert database.write(idempotency.forget_expired, actor=ANA) == 0
    assert answer_once(database, REQUEST) == ANSWER


def test_a_request_that_fails_keeps_no_key(database: Database) -> None:
    def fail(tx: Tx) -> None:
        assert idempotency.claim(tx, REQUEST) is None
        raise KeyError("the work failed")

    with pytest.raises(KeyError):
        database.write(fail, actor=ANA)
    assert answer_once(database, REQUEST) is None


def test_a_repeat_while_the_first_is_in_flight_waits_for_its_answer(database: Database) -> None:
    claimed, finish = threading.Event(), threading.Event()

    def first() -> Answer | None:
        def work(tx: Tx) -> Answer | None:
            assert idempotency.claim(tx, REQUEST) is None
            claimed.set()
            finish.wait(PATIENCE_S)
            idempotency.keep(tx, REQUEST, ANSWER)
            return None

        return database.write(work, actor=ANA)

    def second() -> Answer | None:
        claimed.wait(PATIENCE_S)
        threading.Timer(0.05, finish.set).start()
        return answer_once(database, REQUEST, Answer(500, {}, b"twice"))

    assert in_threads(first, second) == [None, ANSWER]


def test_a_keyed_batch_is_stored_once_however_often_it_is_sent(desk: Desk) -> None:
    request = keyed_request("local:ana", "batch-7", b"POST", b"/logs", b"", b"body")

    def answer(stored: Stored) -> Answer:
        return Answer(200, {}, f"{stored.first_id}".encode())

    outcomes = [
        future.result(PATIENCE_S)
        for future in [desk.start_post(critical(), critical(), keyed=request, answer=answer) for _ in range(20)]
    ]
    stored = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    assert len(stored) == 1
    assert {outcome.body for outcome in outcomes if isinstance(outcome, Answer)} == {answer(stored[0]).body}
    assert (len(desk.logs), desk.alert.count) == (2, 2)
    desk.check_books()


def test_a_misused_key_refuses_its_own_batch_and_no_other_of_the_group(desk: Desk) -> None:
    def keyed(body: bytes, credential: str = "local:ana") -> KeyedRequest:
        return keyed_request(credential, "batch-7", b"POST", b"/logs", b"", body)

    def answer(stored: Stored) -> Answer:
        return Answer(200, {}, b"")

    desk.start_post(critical("one"), keyed=keyed(b"one"), answer=answer).result(PATIENCE_S)
    futures = [
        desk.start_post(critical("two"), keyed=keyed(b"two"), answer=answer),
        desk.start_post(critical("three")),
        desk.start_post(critical("four"), keyed=keyed(b"two", "local:rui"), answer=answer, actor=RUI),
        desk.start_post(critical("one"), keyed=keyed(b"one"), answer=answer),
    ]
    kinds = [type(future.result(PATIENCE_S)) for future in futures]
    assert kinds == [IdempotencyMismatch, Stored, Stored, Answer]
    assert sorted(record.message for record in desk.logs) == ["four", "one", "three"]
    desk.check_books()
    count = select(func.count()).select_from(idempotency_keys)
    assert desk.database.read(lambda tx: tx.execute(count).scalar_one()) == 2
