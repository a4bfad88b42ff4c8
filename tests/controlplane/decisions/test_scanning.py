from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from controlplane.decisions.candidates import Candidate
from controlplane.decisions.scanning import CHUNK, MAX_SCAN, Scan, scan


class World:
    """Names in order, some of them permitted; remembers what was asked."""

    def __init__(self, names: list[str], permitted: set[str]) -> None:
        self.names, self.permitted = names, permitted
        self.asked: list[str] = []
        self.sizes: list[int] = []

    async def listing(self, after: str, limit: int) -> list[Candidate]:
        self.sizes.append(limit)
        start = bisect_right(self.names, after) if after else 0
        return [Candidate(name) for name in self.names[start : start + limit]]

    async def is_permitted(self, candidate: Candidate) -> bool:
        self.asked.append(candidate.name)
        return candidate.name in self.permitted

    async def scan(self, after: str = "", limit: int = 50) -> Scan:
        return await scan(self.listing, self.is_permitted, after, limit)


def world(count: int, every: int = 1) -> World:
    names = [f"n{number:05d}" for number in range(count)]
    return World(names, set(names[::every]))


@given(
    names=st.sets(st.text("abc", min_size=1, max_size=5), max_size=400).map(sorted),
    chosen=st.sets(st.integers(0, 400)),
    limit=st.integers(1, 120),
)
async def test_pages_together_are_exactly_what_is_permitted(names: list[str], chosen: set[int], limit: int) -> None:
    known = World(names, {name for index, name in enumerate(names) if index in chosen})
    found: list[str] = []
    after: str | None = ""
    for _ in range(len(names) + 2):
        assert after is not None
        page = await known.scan(after, limit)
        assert len(page.found) <= limit
        found += page.found
        after = page.after
        if after is None:
            break
    assert after is None
    assert found == [name for name in names if name in known.permitted]


async def test_a_page_asks_of_so_many_and_no_more() -> None:
    known = world(10_000)
    known.permitted = set()
    page = await known.scan(limit=100)
    assert (page.found, page.asked, len(known.asked)) == ([], MAX_SCAN, MAX_SCAN)
    assert page.after == known.names[MAX_SCAN - 1]
    assert max(known.sizes) <= CHUNK


async def test_it_stops_asking_soon_after_it_has_enough() -> None:
    known = world(10_000)
    page = await known.scan(limit=3)
    assert page.found == known.names[:3]
    assert page.after == known.names[2], "what was found beyond the limit is for the next page"
    assert len(known.asked) <= 16


async def test_a_limit_of_nothing_asks_nothing_and_goes_on_where_it_was() -> None:
    known = world(5)
    assert await known.scan("n00001", 0) == Scan([], "n00001", 0)
    assert known.asked == []


async def test_the_end_is_known_when_fewer_come_than_were_asked_for() -> None:
    assert (await world(0).scan()).after is None
    assert (await world(49).scan()).after is None
    assert (await world(50).scan()).after == "n00049", "whether more follow is only known by asking"
    assert await world(50).scan("n00049") == Scan([], None, 0)
