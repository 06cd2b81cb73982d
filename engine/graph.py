"""Graphs as mappings from a name to the names it leads to. All walks keep a stack of their own: a chain may be long."""

from collections.abc import Iterator, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def circles(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Circles, each at the edge that closes it: the last leads to the first. Every graph with a circle gives one."""
    done: set[str] = set()
    for root in graph:
        if root in done:
            continue
        way: dict[str, Iterator[str]] = {root: iter(graph[root])}
        while way:
            name = next(reversed(way))
            below = next(way[name], None)
            if below is None:
                del way[name]
                done.add(name)
            elif below in way:
                circle = list(way)
                yield tuple(circle[circle.index(below) :])
            elif below not in done and below in graph:
                way[below] = iter(graph[below])


def bottom_up(graph: Graph) -> tuple[str, ...]:
    """All names, each after those it leads to; in a circle one of them comes before another that it leads to."""
    found: dict[str, None] = {}
    entered: set[str] = set()
    for root in graph:
        waiting = [(root, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                found[name] = None
            elif name not in entered:
                entered.add(name)
                waiting.append((name, True))
                waiting += [(below, False) for below in reversed(graph[name]) if below in graph]
    return tuple(found)


def components(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Names that lead to each other, taken together (Tarjan 1972); each after those that it leads to."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: dict[str, None] = {}
    for root in graph:
        way = [(root, iter(graph[root]))] if root not in number else []
        while way:
            name, left = way[-1]
            if name not in number:
                number[name] = lowest[name] = len(number)
                open_[name] = None
            below = next((one for one in left if one in graph and (one not in number or one in open_)), None)
            if below is not None and below not in number:
                way.append((below, iter(graph[below])))
            elif below is not None:
                lowest[name] = min(lowest[name], number[below])
            else:
                way.pop()
                if way:
                    above = way[-1][0]
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == number[name]:
                    yield _until(name, open_)


def _until(name: str, open_: dict[str, None]) -> tuple[str, ...]:
    """The names from the last one back to this one, taken out."""
    found = [open_.popitem()[0]]
    while found[-1] != name:
        found.append(open_.popitem()[0])
    return tuple(found)


def reached(graph: Graph) -> Mapping[str, int]:
    """By name, all it leads to: bit n is the n-th name of `bottom_up`. Right for graphs without circles only."""
    order = bottom_up(graph)
    place = {name: number for number, name in enumerate(order)}
    found: dict[str, int] = {}
    for name in order:
        bits = 0
        for below in graph[name]:
            if below in found:
                bits |= found[below] | 1 << place[below]
        found[name] = bits
    return found


def shown(way: Sequence[str], word: str) -> str:
    """`a needs b needs a`; a long way without its middle."""
    parts = way if len(way) <= 9 else [*way[:5], "…", *way[-3:]]
    return f" {word} ".join(parts)
