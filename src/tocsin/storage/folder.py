"""The data folder of an embedded installation, held by one server at a time."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final

from tocsin.kit.errors import StartRefused

LOCK_FILE: Final = "tocsin.lock"


class DataFolder:
    """An operating-system lock on the folder: it ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Make the folder if need be and lock it. Raises StartRefused when another process has it."""
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartRefused(detail=f"The data folder {path} can't be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._read_holder()
            os.close(self._file)
            raise StartRefused(
                detail=f"The data folder {path} is in use by another Tocsin server{holder}. Stop that one, or give "
                "this one another folder with --data."
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps({"pid": os.getpid()}).encode(), 0)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._file)

    def _read_holder(self) -> str:
        try:
            found: Any = json.loads(os.pread(self._file, 1000, 0))
            return f" (process {int(found['pid'])})"
        except (ValueError, KeyError, TypeError):
            return ""
