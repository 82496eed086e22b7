"""Windows: the last 12 buckets, the same in any split into commits; late records amend and never page twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.windows import BUCKETS, PAUSES, Enough, Weighed, Window, go_on, weigh, width_us_of

WINDOW_S = 12
WIDTH_US = width_us_of(WINDOW_S)
LATER_US = 10**15
# An event of a group: a record at a second, or the end of its episode (somebody resolved the ticket).
# What happens to a group: a record, a hit or another one; or its episode ends, because somebody resolved the ticket.
RECORD = st.tuples(st.integers(0, 40).map(lambda second: second * WIDTH_US), st.sampled_from([True, True, False]))
STORY = st.lists(RECORD | st.just("resolved"), max_size=60)
ENOUGH = st.one_of(
    st.builds(Enough, threshold=st.integers(1, 6)),
    st.builds(Enough, ratio_ppm=st.sampled_from([100_000, 333_333, 500_000, 1_000_000]), minimum=st.integers(1, 8)),
)
Record = tuple[int, bool]


class Naive:
    """All records are remembered, and looked at anew each time."""

    def __init__(self, enough: Enough, for_us: int) -> None:
        self.enough, self.for_us = enough, for_us
        self.latest = 0
        self.since: int | None = None
        self.records: list[Record] = []
        self.newest = -1
        self.told_before = -1
        self.firing = False
        self.ended = False

    def resolve(self) -> None:
        if self.firing:
            self.firing, self.ended = False, True

    def add(self, at_us: int, is_hit: bool) -> str | None:
        if self.ended:
            self.ended, self.records, self.told_before, self.since = False, [], self.newest, None
        bucket = at_us // WIDTH_US
        self.newest = max(self.newest, bucket)
        counts = bucket >= self.told_before and bucket > self.newest - BUCKETS
        if counts:
            self.records.append((bucket, is_hit))
            self.latest = max(self.latest, at_us)
            inside = [hit for at, hit in self.records if at > self.newest - BUCKETS]
            holds = self.enough.holds(sum(inside), len(inside))
            self.since = (self.latest if self.since is None else self.since) if holds else None
        if not is_hit:
            return None
        if self.firing:
            return "counted"
        self.firing = counts and self.since is not None and self.latest - self.since >= self.for_us
        return "opened" if self.firing else "pending"


class Live:
    """A window that is weighed commit by commit; between two commits it is written down and read again."""

    def __init__(self, enough: Enough, for_us: int) -> None:
        self.enough, self.for_us = enough, for_us
        self.window = Window(WIDTH_US)
        self.firing = False

    def resolve(self) -> None:
        self.firing = False

    def commit(self, records: list[Record]) -> list[str]:
        before, hits = self.firing, sum(is_hit for _, is_hit in records)
        found = weigh(self.window, records, self.enough, observed_us=LATER_US, firing=self.firing, for_us=self.for_us)
        self.window = replace(found.window, counts=(*found.window.counts,))
        self.firing = before or found.pending < hits
        rest = hits - found.pending
        first = ["counted" if before else "opened"] if rest else []
        return ["pending"] * found.pending + first + ["counted"] * (rest - 1)


@given(STORY, ENOUGH, st.sampled_from([0, 0, 1, WIDTH_US, 5 * WIDTH_US, 20 * WIDTH_US]), st.data())
def test_any_split_into_commits_gives_what_looking_at_all_records_anew_gives(
    story: list[Record | str], enough: Enough, for_us: int, data: st.DataObject
) -> None:
    naive, live = Naive(enough, for_us), Live(enough, for_us)
    expected: list[str | None] = []
    found: list[str] = []
    commit: list[Record] = []
    for event in [*story, "resolved"]:
        if isinstance(event, str):
            found += live.commit(commit) if commit else []
            commit = []
            naive.resolve()
            live.resolve()
            continue
        expected.append(naive.add(*event))
        commit.append(event)
        if data.draw(st.booleans()):
            found += live.commit(commit)
            commit = []

    assert found == [verdict for verdict in expected if verdict is not None]


def weighed(
    times: list[int], *, threshold: int = 3, window: Window | None = None, observed_us: int = LATER_US
) -> Weighed:
    hits = [(at_us, True) for at_us in times]
    return weigh(window or Window(WIDTH_US), hits, Enough(threshold), observed_us=observed_us, firing=False)


def test_a_share_is_reckoned_exactly_and_only_a_hit_makes_it_fire() -> None:
    tenth = Enough(ratio_ppm=100_000, minimum=30)
    records = [(0, False)] * 26 + [(0, True)] * 3
    before = weigh(Window(WIDTH_US), records, tenth, observed_us=LATER_US, firing=False)
    assert before.pending == 3
    other = weigh(before.window, [(0, False)], tenth, observed_us=LATER_US, firing=False)
    assert (other.window.fired, other.full) == (False, False)
    assert weigh(before.window, [(0, True)], tenth, observed_us=LATER_US, firing=False).pending == 0


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
    found = weighed([19 * WIDTH_US] * 10, window=fired)
    assert (found.pending, found.late_pending, found.window.sum) == (10, 10, 0)


def test_a_relapse_fires_as_soon_as_there_are_enough_new_records() -> None:
    fired = weighed([20 * WIDTH_US] * 3).window
    assert weighed([20 * WIDTH_US] * 3, window=fired).pending == 2


def test_a_record_whose_clock_is_ahead_counts_as_of_its_arrival() -> None:
    arrived = 20 * WIDTH_US
    found = weighed([arrived + 300 * WIDTH_US, arrived, arrived], observed_us=arrived)
    assert (found.pending, found.window.head) == (2, 20)


def test_a_window_must_have_been_enough_without_a_break() -> None:
    def fires(times: list[int]) -> bool:
        hits = [(at_us, True) for at_us in times]
        three = Enough(threshold=3)
        found = weigh(Window(WIDTH_US), hits, three, observed_us=LATER_US, firing=False, for_us=10 * WIDTH_US)
        return found.pending < len(hits)

    assert not fires([0, 0, 0])
    assert not fires([0, 0, 0, 9 * WIDTH_US])
    assert fires([0, 0, 0, 10 * WIDTH_US])
    assert fires([0, 0, 0, 5 * WIDTH_US, 9 * WIDTH_US, 12 * WIDTH_US])
    assert not fires([0, 0, 0, 13 * WIDTH_US, 13 * WIDTH_US, 13 * WIDTH_US])


SECOND = 1_000_000
MINUTE = 60 * SECOND


def lasting(times: list[int], *, window: Window | None = None, observed_us: int = LATER_US) -> Weighed:
    return go_on(window or Window(1), times, for_us=10 * MINUTE, observed_us=observed_us, firing=False)


def test_records_that_go_on_for_long_enough_fire() -> None:
    assert lasting([0, 5 * MINUTE]).pending == 2
    assert lasting([0, 5 * MINUTE, 10 * MINUTE - 1]).pending == 3
    assert lasting([0, 5 * MINUTE, 10 * MINUTE, 11 * MINUTE]).pending == 2


def test_a_pause_of_more_than_half_of_it_begins_a_run_anew() -> None:
    found = lasting([0, 5 * MINUTE + 1, 10 * MINUTE])
    assert (found.pending, found.window.since_us) == (3, 5 * MINUTE + 1)


def test_late_records_of_a_run_change_nothing_and_never_fire_again() -> None:
    fired = lasting([MINUTE, 6 * MINUTE, 11 * MINUTE])
    assert fired.window.fired
    again = lasting([MINUTE, 6 * MINUTE, 11 * MINUTE], window=fired.window)
    assert (again.pending, again.late_pending, again.window.since_us) == (3, 3, None)
    before = lasting([20 * MINUTE, 19 * MINUTE])
    assert (before.late_pending, before.window.since_us, before.window.head) == (1, 20 * MINUTE, 20 * MINUTE)


@given(st.lists(st.integers(0, 60).map(lambda m: m * MINUTE), max_size=40), st.data())
def test_a_run_is_the_same_in_any_split_into_commits(times: list[int], data: st.DataObject) -> None:
    whole = lasting(times)
    window, pending, commit = Window(1), 0, list[int]()
    for place, at_us in enumerate(times):
        commit.append(at_us)
        if place == len(times) - 1 or data.draw(st.booleans()):
            found = go_on(window, commit, for_us=10 * MINUTE, observed_us=LATER_US, firing=window.fired)
            window, pending, commit = found.window, pending + found.pending, []
    assert (pending, window) == (whole.pending, whole.window)


@given(st.lists(st.integers(0, 60).map(lambda m: m * MINUTE), max_size=40).map(sorted))
def test_a_run_fires_when_some_stretch_without_a_long_pause_is_long_enough(times: list[int]) -> None:
    starts = [0, *(n for n in range(1, len(times)) if times[n] - times[n - 1] > 10 * MINUTE // PAUSES)]
    stretches = [times[start:end] for start, end in zip(starts, [*starts[1:], len(times)], strict=True)]
    expected = any(stretch and stretch[-1] - stretch[0] >= 10 * MINUTE for stretch in stretches)
    assert lasting(times).window.fired == expected
