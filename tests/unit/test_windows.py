"""Windows: the last 12 buckets, the same in any split into commits; late records amend and never page twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.windows import BUCKETS, Enough, Weighed, Window, weigh, width_us_of

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

    def __init__(self, enough: Enough) -> None:
        self.enough = enough
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
            self.ended, self.records, self.told_before = False, [], self.newest
        bucket = at_us // WIDTH_US
        self.newest = max(self.newest, bucket)
        counts = bucket >= self.told_before and bucket > self.newest - BUCKETS
        if counts:
            self.records.append((bucket, is_hit))
        if not is_hit:
            return None
        if self.firing:
            return "counted"
        inside = [hit for at, hit in self.records if at > self.newest - BUCKETS]
        self.firing = counts and self.enough.holds(sum(inside), len(inside))
        return "opened" if self.firing else "pending"


class Live:
    """A window that is weighed commit by commit; between two commits it is written down and read again."""

    def __init__(self, enough: Enough) -> None:
        self.enough = enough
        self.window = Window(WIDTH_US)
        self.firing = False

    def resolve(self) -> None:
        self.firing = False

    def commit(self, records: list[Record]) -> list[str]:
        before, hits = self.firing, sum(is_hit for _, is_hit in records)
        found = weigh(self.window, records, self.enough, observed_us=LATER_US, firing=self.firing)
        self.window = replace(found.window, counts=(*found.window.counts,))
        self.firing = before or found.pending < hits
        rest = hits - found.pending
        first = ["counted" if before else "opened"] if rest else []
        return ["pending"] * found.pending + first + ["counted"] * (rest - 1)


@given(STORY, ENOUGH, st.data())
def test_any_split_into_commits_gives_what_looking_at_all_records_anew_gives(
    story: list[Record | str], enough: Enough, data: st.DataObject
) -> None:
    naive, live = Naive(enough), Live(enough)
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
