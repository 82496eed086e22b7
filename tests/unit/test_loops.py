"""Loops end when they are told to, and say which did not."""

import threading
import time

from tocsin.kit.metrics import Metrics
from tocsin.loops import Loop, Runner, pause_s


def test_a_stop_is_not_lost_whatever_a_loop_is_doing_at_that_moment() -> None:
    """`stop` sets the flag and wakes: a loop that clears the wake after it looked at the flag would sleep on."""
    runner = Runner([], metrics=Metrics())
    turns: list[int] = []

    class Wake(threading.Event):
        def clear(self) -> None:
            runner._stopping.set()  # stop() runs here
            self.set()
            super().clear()

    runner._wake["lazy"] = Wake()
    runner._wake["lazy"].set()
    loop = Loop("lazy", every_s=600, run=lambda: turns.append(1))
    thread = threading.Thread(target=runner._keep_running, args=(loop,), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(turns) == 1


def test_all_loops_share_one_deadline_and_those_that_did_not_end_are_named() -> None:
    release, begun = threading.Event(), threading.Barrier(6)

    def hang() -> None:
        begun.wait(5)
        release.wait(60)

    runner = Runner([Loop(f"stuck-{n}", every_s=600, run=hang) for n in range(5)], metrics=Metrics())
    begun.wait(5)
    started = time.monotonic()
    assert runner.stop(timeout_s=0.3) == [f"stuck-{n}" for n in range(5)]
    assert time.monotonic() - started < 1
    release.set()
    assert runner.stop(timeout_s=5) == []


class Panic(BaseException):
    """As native code raises it."""


def test_a_loop_goes_on_after_whatever_is_raised_in_it() -> None:
    gone_on = threading.Event()
    failures = iter([Panic("native"), ValueError("ours")])

    def run() -> None:
        for failure in failures:
            raise failure
        gone_on.set()

    runner = Runner([Loop("shaky", every_s=0.001, run=run)], metrics=Metrics())
    assert gone_on.wait(10)
    assert runner.stop() == []


def test_a_loop_that_goes_on_failing_is_tried_less_and_less_often_up_to_a_bound() -> None:
    costly = Loop("compact", every_s=0.5, run=lambda: None, longest_s=30)
    assert [pause_s(costly, failures) for failures in (0, 1, 2, 5, 6, 7, 10_000)] == [0.5, 1, 2, 16, 30, 30, 30]
    assert {pause_s(Loop("timers", every_s=1, run=lambda: None), failures) for failures in range(100)} == {1}


def test_a_loop_that_works_again_is_back_at_its_pace() -> None:
    done, turns = threading.Event(), iter(["fails", "fails", "works", "fails", "works"])
    pauses: list[float] = []

    class Wake(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return True

    def run() -> None:
        turn = next(turns, None)
        if turn is None:
            done.set()
            runner._stopping.set()
        elif turn == "fails":
            raise OSError("No space left on device")

    runner = Runner([], metrics=Metrics())
    runner._wake["compact"] = Wake()
    runner._keep_running(Loop("compact", every_s=0.5, run=run, longest_s=30))
    assert done.is_set()
    assert pauses[:5] == [1, 2, 0.5, 1, 0.5]


def test_a_loop_that_nobody_waits_for_leaves_the_start_to_others_but_comes_when_it_is_woken() -> None:
    turned = threading.Event()
    runner = Runner([Loop("lazy", every_s=600, run=turned.set, wake_on="news", first_after_s=600)], metrics=Metrics())
    assert not turned.wait(0.05)
    runner.wake({"news"})
    assert turned.wait(10)
    assert runner.stop() == []


def test_a_loop_that_waits_for_its_first_turn_ends_without_one_when_it_is_told_to() -> None:
    turns: list[int] = []
    runner = Runner([Loop("lazy", every_s=600, run=lambda: turns.append(1), first_after_s=600)], metrics=Metrics())
    assert runner.stop() == []
    assert turns == []
