"""What depends on what: the way from a service to another, how many steps it takes, rings. Pure.

`edges` holds what each service depends on; one that is not in it depends on nothing.
"""

from collections.abc import Collection, Mapping

Edges = Mapping[str, Collection[str]]


def way(edges: Edges, start: str, end: str) -> list[str] | None:
    """The shortest way, both ends included; from a service to itself it is a ring. None when there is none.

    Of several it is the one whose names come first.
    """
    came_from: dict[str, str] = {}
    level = [start]
    while level:
        reached: list[str] = []
        for one in level:
            for upstream in sorted(edges.get(one, ())):
                if upstream == end:
                    return [*_walked(came_from, start, one), end]
                if upstream not in came_from:
                    came_from[upstream] = one
                    reached.append(upstream)
        level = reached
    return None


def _walked(came_from: Mapping[str, str], start: str, last: str) -> list[str]:
    found = [last]
    while found[-1] != start:
        found.append(came_from[found[-1]])
    return found[::-1]


def steps_from(edges: Edges, start: str) -> dict[str, int]:
    """Everything that a service depends on, directly or by others, and in how few steps."""
    found: dict[str, int] = {}
    level, steps = {start}, 0
    while level:
        steps += 1
        level = {upstream for one in level for upstream in edges.get(one, ())} - found.keys() - {start}
        found.update(dict.fromkeys(level, steps))
    return found


def depths(edges: Edges) -> dict[str, int]:
    """How many steps the longest chain has that begins with each service: none for what depends on nothing.

    Of edges without a ring; where there is one, a chain ends before it closes.
    """
    found: dict[str, int] = {}
    entered: set[str] = set()
    for start in edges:
        path = [] if start in entered else [(start, iter(edges[start]))]
        entered.add(start)
        while path:
            one, rest = path[-1]
            upstream = next((up for up in rest if up not in entered), None)
            if upstream is not None:
                entered.add(upstream)
                path.append((upstream, iter(edges.get(upstream, ()))))
            else:
                path.pop()
                found[one] = 1 + max((found.get(up, -1) for up in edges.get(one, ())), default=-1)
    return found


def turned(edges: Edges) -> dict[str, set[str]]:
    """What depends on each service."""
    found: dict[str, set[str]] = {}
    for service, upstreams in edges.items():
        for upstream in upstreams:
            found.setdefault(upstream, set()).add(service)
    return found
