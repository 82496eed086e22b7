"""A lock that is handed over in the order it was asked for, so that no writer starves."""

import threading
from collections import deque
from types import TracebackType


class FairLock:
    """First come, first served. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._queue: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = threading.Event()
            self._queue.append(turn)
        turn.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            if self._queue:
                self._queue.popleft().set()  # stays held: ownership passes to the next in line
            else:
                self._held = False
