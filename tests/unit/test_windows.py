"""Windows: the last 12 buckets, the same in any split into commits; late records amend and never page twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.windows import BUCKETS, Window, weigh, width_us_of

WINDOW_S = 12
WIDTH_US = width_us_of(WINDOW_S)
LATER_US = 10**15
# An event of a group: a record at a second, or the end of its episode (somebody resolved the ticket).
TIMES = st.integers(0, 40).map(lambda second: second * WIDTH_US)
STORY = st.lists(TIMES | st.just("resolved"), max_size=60)


class Naive:
    """All records are remembered, and looked at anew each time."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold
        self.records: list[int] = []
        self.newest: int | None = None
        self.told_before = -1
        self.firing = False
        self.ended = False

    def resolve(self) -> None:
        if self.firing:
            self.firing, self.ended = False, True

    def add(self, at_us: int) -> str:
        if self.ended:
            self.ended, self.records = False, []
            self.told_before = self.newest if self.newest is not None else -1
        bucket = at_us // WIDTH_US
        self.newest = bucket if self.newest is None else max(self.newest, bucket)
        if bucket >= self.told_before and bucket > self.newest - BUCKETS:
            self.records.append(bucket)
        if self.firing:
            return "counted"
        inside = [b for b in self.records if b > self.newest - BUCKETS]
        if len(inside) < self.threshold or bucket < self.told_before or bucket <= self.newest - BUCKETS:
            return "pending"
        self.firing = True
        return "opened"


class Live:
    """A window that is weighed commit by commit; between two commits it is written down and read again."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold
        self.window = Window(WIDTH_US)
        self.firing = False

    def resolve(self) -> None:
        self.firing = False

    def commit(self, times: list[int]) -> list[str]:
        before = self.firing
        found = weigh(self.window, times, threshold=self.threshold, observed_us=LATER_US, firing=self.firing)
        self.window = replace(found.window, counts=(*found.window.counts,))
        fired = found.pending < len(times)
        self.firing = before or fired
        rest = len(times) - found.pending
        first = ["counted" if before else "opened"] if rest else []
        return ["pending"] * found.pending + first + ["counted"] * (rest - 1)


@given(STORY, st.integers(1, 6), st.data())
def test_any_split_into_commits_gives_what_looking_at_all_records_anew_gives(
    story: list[int | str], threshold: int, data: st.DataObject
) -> None:
    naive, live = Naive(threshold), Live(threshold)
    expected: list[str] = []
    found: list[str] = []
    commit: list[int] = []
    for event in story:
        if isinstance(event, str):
            found += live.commit(commit) if commit else []
            commit = []
            naive.resolve()
            live.resolve()
            continue
        expected.append(naive.add(event))
        commit.append(event)
        if data.draw(st.booleans()):
            found += live.commit(commit)
            commit = []
    found += live.commit(commit) if commit else []

    assert found == expected


def weighed(times: list[int], threshold: int = 3, window: Window | None = None, **parts: object) -> object:
    facts = {"observed_us": LATER_US, "firing": False, **parts}
    return weigh(window or Window(WIDTH_US), times, threshold=threshold, **facts)  # type: ignore[arg-type]


def test_the_last_twelve_buckets_are_the_window() -> None:
    first, last = 0, (BUCKETS - 1) * WIDTH_US
    assert weighed([first, first, last]).pending == 2
    assert weighed([first, first, last + WIDTH_US]).pending == 3


def test_a_late_record_completes_a_window_and_is_marked() -> None:
    found = weighed([5 * WIDTH_US, 5 * WIDTH_US, 2 * WIDTH_US])
    assert (found.pending, found.late_pending, found.late_counted, found.window.sum) == (2, 0, 1, 3)


def test_a_record_too_late_for_the_window_is_marked_and_changes_nothing() -> None:
    before = weighed([50 * WIDTH_US, 50 * WIDTH_US]).window
    found = weighed([1 * WIDTH_US], window=before)
    assert (found.window, found.pending, found.late_pending) == (before, 1, 1)


def test_late_records_of_an_episode_that_has_ended_never_fire_again() -> None:
    fired = weighed([20 * WIDTH_US] * 3).window
    found = weighed([19 * WIDTH_US] * 10, window=fired, firing=False)
    assert (found.pending, found.late_pending, found.window.sum) == (10, 10, 0)


def test_a_relapse_fires_as_soon_as_there_are_enough_new_records() -> None:
    fired = weighed([20 * WIDTH_US] * 3).window
    assert weighed([20 * WIDTH_US] * 3, window=fired, firing=False).pending == 2


def test_a_record_whose_clock_is_ahead_counts_as_of_its_arrival() -> None:
    arrived = 20 * WIDTH_US
    found = weighed([arrived + 300 * WIDTH_US, arrived, arrived], observed_us=arrived)
    assert (found.pending, found.window.head) == (2, 20)
