"""A process that stores records and compacts them all the time, in small segments, until it is killed.

It prints the ids of every batch once that is acknowledged. Arguments: the data folder, the database's URL or "".
"""

import sys
import threading
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from desk import Desk, FakeClock, info
from tocsin.settings import Settings
from tocsin.storage import schema


def main() -> None:
    folder, url = sys.argv[1:]
    settings = Settings(data_dir=Path(folder), **({"database_url": url} if url else {}))
    desk = Desk(settings, FakeClock())
    schema.ensure(desk.database, migrate=True)

    def post() -> None:
        while True:
            stored = desk.post(*[info(f"record {n}", attributes={"n": n}) for n in range(7)])
            print(stored.first_id, stored.last_id, flush=True)

    threading.Thread(target=post, daemon=True).start()
    while True:
        desk.compact(records=60, age=timedelta(0))
        desk.clock.advance(seconds=40)


if __name__ == "__main__":
    main()
