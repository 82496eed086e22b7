"""Files that stay as they are for as long as somebody reads them, though their server removes some meanwhile."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tocsin.storage.objects import HELD

_ABANDONED_AFTER: Final = timedelta(days=2)
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})


class Held:
    """A place for links to files of a folder, and one for copies where there can be no links."""

    def __init__(self, folder: Path, links: Path | None, copies: Path) -> None:
        self._folder = folder
        self._links = links
        self._copies = copies
        self._count = 0

    def take(self, key: str) -> Path:
        """Where the file `key` can be read until the end. Raises FileNotFoundError; the disk's errors."""
        source = self._folder / key
        self._count += 1
        name = f"{self._count:08d}"
        try:
            if self._links is not None:
                os.link(source, self._links / name)
                return self._links / name
        except OSError as error:
            if error.errno in _GONE:
                raise FileNotFoundError(error.errno, error.strerror, str(source)) from error
        return Path(shutil.copyfile(source, self._copies / name))


@contextmanager
def holding(folder: Path, *, copies: Path, now: datetime) -> Iterator[Held]:
    """Hold files of `folder`: by hard links in a folder of their own inside it, or else by copies in `copies`."""
    links = _links_in(folder, now)
    try:
        yield Held(folder, links, copies)
    finally:
        if links is not None:
            shutil.rmtree(links, ignore_errors=True)


def _links_in(folder: Path, now: datetime) -> Path | None:
    """A new folder for links; None where none can be made. Those of a process that was killed are removed: they keep
    the room of what its server let go of."""
    try:
        for path in folder.glob(f"{HELD}*"):
            if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > _ABANDONED_AFTER:
                shutil.rmtree(path, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=HELD, dir=folder))
    except OSError:
        return None
