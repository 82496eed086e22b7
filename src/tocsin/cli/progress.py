"""How far an import got, remembered between runs, so that an interrupted one goes on without counting twice."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

HEAD_BYTES: Final = 4096


@dataclass(slots=True)
class Position:
    """The end of the last acknowledged batch. `head` proves that the file is still the one that was begun."""

    offset: int = 0
    head_bytes: int = 0
    head: str = ""
    began: str = ""
    accepted: int = 0
    rejected: int = 0
    alert: bool = False

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins with `head` is the one this position lies in."""
        return len(head) >= self.head_bytes and _digest(head[: self.head_bytes]) == self.head

    @classmethod
    def start(cls, head: bytes, *, began: str, alert: bool) -> Self:
        known = head[:HEAD_BYTES]
        return cls(head_bytes=len(known), head=_digest(known), began=began, alert=alert)


class Memory:
    """The file a position is kept in, one per installation and imported file."""

    def __init__(self, installation: str, path: Path) -> None:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        name = _digest(f"{installation}\0{path.resolve()}".encode())[:32]
        self._path = base / "tocsin" / "imports" / f"{name}.json"

    def recall(self) -> Position | None:
        """The position kept, if there is one that can be read."""
        try:
            return Position(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, position: Position) -> None:
        """Replace the position kept, atomically."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(position)))
        temporary.replace(self._path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
