import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.paging import TOKEN_SECONDS, Cursor, PageTokens, digest_of
from controlplane.capabilities.sealing import Sealer
from controlplane.contracts.search import MAX_TOKEN
from tests.clocks import Clock

QUERY, OTHER = digest_of("alice asks for lamps"), digest_of("bob asks for lamps")
NOTHING = digest_of("{}")
CURSOR = Cursor(after="dev-secret", limit=7, properties=NOTHING)
KEY = b"k" * 32


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pages(clock: Clock) -> PageTokens:
    return PageTokens(Sealer(KEY), clock)


@given(
    after=st.none() | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=512),
    limit=st.none() | st.integers(0, 2**31),
)
def test_a_token_leads_back_to_its_place_and_fits_the_contract(after: str | None, limit: int | None) -> None:
    pages = PageTokens(Sealer(KEY), Clock())
    cursor = Cursor(after=after, limit=limit, properties=NOTHING)
    token = pages.make(cursor, QUERY)
    assert pages.read(token, QUERY) == cursor
    assert len(token) <= MAX_TOKEN


def test_another_replica_with_the_same_key_takes_it(pages: PageTokens, clock: Clock) -> None:
    assert PageTokens(Sealer(KEY), clock).read(pages.make(CURSOR, QUERY), QUERY) == CURSOR


def test_a_token_is_for_one_query_and_one_key(pages: PageTokens, clock: Clock) -> None:
    token = pages.make(CURSOR, QUERY)
    assert pages.read(token, OTHER) is None
    assert PageTokens(Sealer(b"x" * 32), clock).read(token, QUERY) is None


def test_a_token_expires(pages: PageTokens, clock: Clock) -> None:
    token = pages.make(CURSOR, QUERY)
    clock.now += TOKEN_SECONDS - 0.001
    assert pages.read(token, QUERY) == CURSOR
    clock.now += 0.001
    assert pages.read(token, QUERY) is None


def test_what_is_sealed_for_something_else_is_no_token(pages: PageTokens, clock: Clock) -> None:
    from controlplane.jose.jws import encode_segment

    other = encode_segment(Sealer(KEY).seal(b'{"after": "x"}', "signing key")).decode()
    assert pages.read(other, QUERY) is None
    half = encode_segment(Sealer(KEY).seal(b'{"after": "x"}', f"page {QUERY}")).decode()
    assert pages.read(half, QUERY) is None


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode(errors="ignore")))
def test_nothing_that_nobody_made_is_a_token(raw: bytes) -> None:
    pages = PageTokens(Sealer(KEY), Clock())
    assert pages.read(raw.decode(errors="replace"), QUERY) is None


def test_a_changed_character_makes_it_worthless(pages: PageTokens) -> None:
    token = pages.make(CURSOR, QUERY)
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        assert pages.read(token[:place] + other + token[place + 1 :], QUERY) is None


def test_two_tokens_of_one_place_differ_and_show_nothing(pages: PageTokens) -> None:
    assert pages.make(CURSOR, QUERY) != pages.make(CURSOR, QUERY)
    assert "secret" not in pages.make(CURSOR, QUERY)


def test_the_longest_name_fits_into_a_token(pages: PageTokens) -> None:
    longest = Cursor(after="\U0001f6aa" * 512, limit=2**31, properties=NOTHING)
    token = pages.make(longest, QUERY)
    assert len(token) <= MAX_TOKEN
    assert pages.read(token, QUERY) == longest
