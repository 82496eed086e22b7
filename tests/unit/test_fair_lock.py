"""The write turn is handed over in the order it was asked for."""

import threading

from tocsin.storage.turns import FairLock


def _wait_in_line(lock: FairLock, name: int, order: list[int], waiting: threading.Semaphore) -> threading.Thread:
    def work() -> None:
        waiting.release()
        with lock:
            order.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_those_who_wait_get_their_turn_in_the_order_they_came() -> None:
    lock, order, started = FairLock(), [], threading.Semaphore(0)
    with lock:
        threads = []
        for name in range(20):
            threads.append(_wait_in_line(lock, name, order, started))
            started.acquire()
            while len(lock._queue) <= name:  # it stands in line before the next one comes
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(20))


def test_one_who_takes_the_lock_again_and_again_does_not_starve_another() -> None:
    lock, turns, done = FairLock(), [], threading.Event()

    def greedy() -> None:
        while not done.is_set():
            with lock:
                turns.append("greedy")

    thread = threading.Thread(target=greedy)
    thread.start()
    for _ in range(50):
        with lock:
            turns.append("other")
    done.set()
    thread.join()
    assert turns.count("other") == 50


def test_never_two_hold_it() -> None:
    lock, inside, most = FairLock(), [], []

    def work() -> None:
        for _ in range(200):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 1600
    assert max(most) == 1


def test_an_error_inside_hands_the_turn_on() -> None:
    lock = FairLock()
    try:
        with lock:
            raise KeyError
    except KeyError:
        pass
    with lock:
        pass
