"""`tocsin demo` and the shop's story."""

import random
import subprocess

from running import command, environment

from tocsin.cli.shop import OUTAGE, SERVICES, records


def test_the_demo_tells_its_story_and_ends_when_it_shall_not_stay() -> None:
    done = subprocess.run(
        command("demo", "--seconds", "4", "--no-stay", "--port", "0"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "opened: orders-db: could not write" in done.stdout
    assert "is open again" in done.stdout
    assert "3 tickets" in done.stdout


def test_the_same_seed_tells_the_same_story() -> None:
    def told(seed: int) -> list[dict[str, object]]:
        rng = random.Random(seed)
        return [r for step in range(20) for r in records(rng, since=step / 20, until=(step + 1) / 20, step_s=0.25)]

    assert told(7) == told(7) != told(8)


def test_every_act_of_the_story_is_played_by_a_service_of_the_shop() -> None:
    assert {act.service for act in OUTAGE} <= set(SERVICES)
