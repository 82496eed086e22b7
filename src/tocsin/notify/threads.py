"""Threads for what blocks, apart from those of everything else: what hangs in some can't hold up the others."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")
IDLE_S: Final = 10.0  # then a thread ends; the next work starts one


class Threads:
    """Up to `most` threads, started as they are needed. They don't keep the process from ending: a name server may not
    answer for minutes, and nothing can interrupt whoever asked it."""

    def __init__(self, name: str, *, most: int, idle_s: float = IDLE_S) -> None:
        self._name = name
        self._most = most
        self._idle_s = idle_s
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._unfinished = 0
        self._closed = False

    def start(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """What comes of it, for the event loop that runs. Cancelled, it is not begun; begun, it goes on unheard."""
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError(f"the threads {self._name} are closed")
            self._unfinished += 1
            self._waiting.append((future, work))
            if self._threads < min(self._unfinished, self._most):
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._changed.notify()
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """Begin nothing more. What is being done goes on, and nobody waits for it."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed, self._idle_s)
                if not self._waiting:
                    self._threads -= 1
                    return
                future, work = self._waiting.popleft()
            _do(future, work)
            with self._changed:
                self._unfinished -= 1


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = work()
    except BaseException as error:  # noqa: BLE001  # it is told to whoever waits
        future.set_exception(error)
    else:
        future.set_result(found)
