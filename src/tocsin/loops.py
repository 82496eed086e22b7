"""Background loops: each a thread that runs when it is woken or its time has come, and survives its own errors."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from tocsin.kit.metrics import Metrics

log = structlog.get_logger("tocsin.loops")


@dataclass(frozen=True, slots=True)
class Loop:
    """`run` at least every `every_s` seconds, and as soon as a commit wakes `wake_on`. While it fails, the pauses grow
    up to `longest_s`: what is expensive to try is not tried all the time. The first turn waits for `first_after_s`:
    what nobody waits for leaves the start to those who do."""

    name: str
    every_s: float
    run: Callable[[], None]
    wake_on: str | None = None
    longest_s: float = 0.0
    first_after_s: float = 0.0


def pause_s(loop: Loop, failures: int) -> float:
    """How long a loop waits after so many failures in a row."""
    return max(loop.every_s, min(loop.every_s * 2.0 ** min(failures, 16), loop.longest_s))


class Runner:
    """The threads of all loops."""

    def __init__(self, loops: Sequence[Loop], *, metrics: Metrics) -> None:
        self._metrics = metrics
        self._stopping = threading.Event()
        self._wake = {loop.name: threading.Event() for loop in loops}
        self._by_topic = {loop.wake_on: self._wake[loop.name] for loop in loops if loop.wake_on}
        self._threads = {
            loop.name: threading.Thread(target=self._keep_running, args=(loop,), name=f"loop-{loop.name}", daemon=True)
            for loop in loops
        }
        for thread in self._threads.values():
            thread.start()

    def wake(self, topics: set[str]) -> None:
        """Run the loops that wait for these topics now."""
        for topic in topics:
            if topic in self._by_topic:
                self._by_topic[topic].set()

    def stop(self, timeout_s: float = 5.0) -> list[str]:
        """End all loops after their present turn; the names of those that did not end in time."""
        self._stopping.set()
        for wake in self._wake.values():
            wake.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads.values():
            thread.join(max(deadline - time.monotonic(), 0))
        return [name for name, thread in self._threads.items() if thread.is_alive()]

    def _keep_running(self, loop: Loop) -> None:
        wake = self._wake[loop.name]
        if loop.first_after_s:
            wake.wait(loop.first_after_s)
        failures = 0
        while not self._stopping.is_set():
            try:
                loop.run()
                failures = 0
            except BaseException as error:  # noqa: BLE001  # outlive errors, and panics of native code
                failures += 1
                self._metrics.loop_errors.labels(loop.name).inc()
                log.error("loop_failed", loop=loop.name, error=f"{type(error).__name__}: {error}")
            wake.wait(pause_s(loop, failures))
            wake.clear()  # here alone: what woke us since is seen by the look at the flag or by the next turn
