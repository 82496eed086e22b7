"""Hot records in memory: the newest of them, up to a bound, however long compaction stands still."""

from datetime import timedelta

from desk import Desk, info
from tocsin.logs.hot import HotTail, Stock
from tocsin.logs.parts import Budget, Parts, Sought
from tocsin.logs.search import find
from tocsin.logs.segmentfiles import SegmentFiles


def kept_bytes(stock: Stock) -> int:
    return sum(chunk.raw_bytes for block in stock.blocks for chunk in block.chunks)


def post(desk: Desk, turn: int) -> None:
    desk.post(*[info(f"turn {turn} record {n} " + "x" * 100, attributes={"turn": turn}) for n in range(20)])


def test_memory_is_bounded_while_nothing_is_compacted(desk: Desk) -> None:
    tail = HotTail(desk.database, keep_bytes=20_000)
    for turn in range(30):
        post(desk, turn)
        stock = tail.look()
        in_memory = [chunk.first_id for block in stock.blocks for chunk in block.chunks]
        on_disk = [chunk.first_id for chunk in stock.unread]
        assert kept_bytes(stock) <= 20_000
        assert sorted([*in_memory, *on_disk]) == [1 + 20 * n for n in range(turn + 1)]
        assert min(in_memory) > max(on_disk, default=0)
        assert sum(len(block.frame) for block in stock.blocks) == 20 * len(in_memory)
    assert len(in_memory) > 3


def test_what_was_let_go_of_is_found_all_the_same(desk: Desk) -> None:
    tail = HotTail(desk.database, keep_bytes=20_000)
    parts = Parts(desk.database, SegmentFiles(desk.database, desk.objects, metrics=desk.metrics), tail)
    for turn in range(20):
        post(desk, turn)
        desk.clock.advance(seconds=1)
        found = find(parts, Sought(), limit=1_000, budget=Budget(60))
        assert sorted(found.rows.get_column("id").to_list()) == list(range(1, 20 * (turn + 1) + 1))


def test_a_chunk_larger_than_the_bound_is_not_kept(desk: Desk) -> None:
    tail = HotTail(desk.database, keep_bytes=1_000)
    post(desk, 1)
    for _ in range(2):
        stock = tail.look()
        assert (stock.blocks, len(stock.unread)) == ([], 1)


def test_what_was_compacted_is_let_go_of(desk: Desk) -> None:
    tail = HotTail(desk.database)
    for turn in range(3):
        post(desk, turn)
        tail.look()
    desk.clock.advance(minutes=11)
    post(desk, 3)
    desk.compact(age=timedelta(minutes=10), records=60)
    stock = tail.look()
    assert [chunk.first_id for block in stock.blocks for chunk in block.chunks] == [61]
    assert sum(segment.records for segment in stock.segments) == 60
