"""How long a search may go on."""

import threading
import time
from typing import Final

MAX_SEARCH_S: Final = 5.0
_GRACE: Final = 1.0  # times as long again, and at least a second, for a search that has got nowhere yet


class Budget:
    """A time, and whoever asked may leave before it is over. `cut`: something was left half looked at for that."""

    def __init__(self, seconds: float = MAX_SEARCH_S) -> None:
        self._deadline = time.monotonic() + seconds
        self._last_moment = self._deadline + max(_GRACE * seconds, 1.0)
        self._left = threading.Event()
        self.cut = False

    def share(self, seconds: float) -> "Budget":
        """Some time for a part of the work; who leaves leaves that as well."""
        part = Budget(seconds)
        part._left = self._left
        return part

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._left.set()

    @property
    def over(self) -> bool:
        return self._left.is_set() or time.monotonic() > self._deadline

    @property
    def quite_over(self) -> bool:
        """Even for a search that could not be gone on with from where it would end now."""
        return self._left.is_set() or time.monotonic() > self._last_moment

    @property
    def remaining_s(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)
