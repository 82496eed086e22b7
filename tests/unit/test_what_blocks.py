"""What blocks has threads of its own: a name server that hangs, or a template, holds up nothing else."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tocsin.notify.outside import LookUps
from tocsin.notify.threads import Threads


def test_look_ups_of_a_host_that_hangs_leave_threads_for_the_others() -> None:
    answers = threading.Event()
    asked: list[str] = []

    def ask(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        if host.startswith("hangs"):
            answers.wait(30)
        return ["93.184.216.34"]

    async def run() -> list[Sequence[str]]:
        look_ups = LookUps(ask)
        waiting = [asyncio.create_task(look_ups("hangs.example", 443)) for _ in range(20)]
        await asyncio.sleep(0)
        other = await look_ups("works.example", 443)
        assert asked.count("hangs.example") <= 2
        for one in waiting[:10]:
            one.cancel()  # whoever gives up frees no thread
        assert await look_ups("works.example", 443) == other
        assert len([name for name in asked if name != "works.example"]) <= 2
        answers.set()
        found = await asyncio.gather(*waiting[10:])
        look_ups.close()
        return found

    assert asyncio.run(run()) == [["93.184.216.34"]] * 10


def test_a_look_up_that_fails_says_why_and_makes_room() -> None:
    def ask(_host: str, _port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    async def run() -> None:
        look_ups = LookUps(ask)
        for _ in range(5):
            with pytest.raises(OSError, match="not known"):
                await look_ups("gone.example", 443)
        look_ups.close()
        with pytest.raises(OSError, match="ends"):
            await look_ups("gone.example", 443)

    asyncio.run(run())


def test_threads_are_as_many_as_they_may_be_and_keep_no_process() -> None:
    goes_on = threading.Event()
    seen: set[threading.Thread] = set()

    def work() -> None:
        seen.add(threading.current_thread())
        goes_on.wait(30)

    async def run() -> None:
        threads = Threads("some", most=3, idle_s=0.01)
        waiting = [threads.start(work) for _ in range(9)]
        waiting.pop().cancel()
        goes_on.set()
        await asyncio.gather(*waiting)
        assert 1 <= len(seen) <= 3
        assert all(thread.daemon for thread in seen)
        for thread in seen:
            thread.join(30)  # idle, they end
        assert await threads.start(lambda: 7) == 7
        threads.close()
        with pytest.raises(RuntimeError, match="closed"):
            threads.start(work)

    asyncio.run(run())
