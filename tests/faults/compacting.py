"""A process that stores records, compacts them all the time in small segments, seals and lets go of old ones, until it
is killed.

It prints what is acknowledged as soon as it is: `stored`, the first and last id, and an instant that none of them is
older than; and `clock` with an instant before that is what the clock shows. Arguments: the data folder, the database's
URL or "", how many days after `START` it is.
"""

import sys
import threading
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from desk import START, Desk, FakeClock, info
from tocsin.kit.clock import to_us
from tocsin.logs.expiry import Expiry
from tocsin.logs.retention import Retention
from tocsin.settings import Settings
from tocsin.storage import schema

# A batch, by id: records that are kept, some that are not for long, and some that are too old already.
KEPT, BRIEF, STALE = 4, 3, 2
AGE = timedelta(minutes=5)
BATCHES = 10  # at most, in one turn of the loop: it would never come to its end
RETENTION = Retention(services=(("brief", AGE),))


def main() -> None:
    folder, url, days = sys.argv[1:]
    settings = Settings(data_dir=Path(folder), **({"database_url": url} if url else {}))
    clock = FakeClock(START + timedelta(days=int(days)))
    desk = Desk(settings, clock)
    schema.ensure(desk.database, migrate=True)
    expiry = Expiry(desk.database, desk.compactor, RETENTION, seal=desk.sealer.seal)
    turns = threading.Semaphore(BATCHES)

    def post() -> None:
        while True:
            turns.acquire()
            now = clock.now()
            kept = [info(f"record {n}", service="kept", attributes={"n": n}) for n in range(KEPT)]
            brief = [info(f"record {n}", service="brief", attributes={"n": n}) for n in range(BRIEF)]
            long_ago = (now - timedelta(hours=2)).isoformat()
            stale = [info(f"record {n}", service="brief", timestamp=long_ago) for n in range(STALE)]
            stored = desk.post(*kept, *brief, *stale)
            say(f"stored {stored.first_id} {stored.last_id} {to_us(now)}")

    threading.Thread(target=post, daemon=True).start()
    while True:
        desk.compact(records=60, age=timedelta(0))
        expiry.run()
        step = timedelta(seconds=61)
        say(f"clock {to_us(clock.now() + step)}")
        clock.advance(seconds=step.total_seconds())
        turns.release(BATCHES)


def say(line: str) -> None:
    """In one write: two threads have something to say."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
