"""What depends on what: the way from a service to another, how many steps it takes, rings. Pure.

`edges` holds what each service depends on; one that is not in it depends on nothing.
"""

from collections.abc import Collection, Mapping, Sequence

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


def rings(edges: Edges) -> list[list[str]]:
    """Rings among services, the first service at both ends; every service that is part of any is part of one told here,
    or depends on one. Of each only the shortest from the service whose name comes first."""
    left = {service: set(upstreams) for service, upstreams in edges.items()}
    found: list[list[str]] = []
    while left := _without_ends(left):
        start = min(left)
        ring = way(left, start, start)
        for service in (start,) if ring is None else ring:
            left.pop(service, None)
        if ring is not None:
            found.append(ring)
    return found


def _without_ends(edges: Edges) -> dict[str, set[str]]:
    """What is left when services that depend on nothing are taken away, again and again: all that leads to a ring."""
    needing = turned(edges)
    open_steps = {service: len(edges.get(service, ())) for service in {*edges, *needing}}
    done = [service for service, steps in open_steps.items() if not steps]
    gone: set[str] = set()
    while done:
        one = done.pop()
        gone.add(one)
        for service in needing.get(one, ()):
            open_steps[service] -= 1
            if not open_steps[service]:
                done.append(service)
    return {service: set(upstreams) - gone for service, upstreams in edges.items() if service not in gone}


def ring_text(names: Mapping[str, str], ring: Sequence[str]) -> str:
    """What is wrong with dependencies that make a ring, by the names that people gave the services."""
    return f"makes a ring: {' → '.join(names[key] for key in ring)}"
