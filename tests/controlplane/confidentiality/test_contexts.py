from hypothesis import given
from hypothesis import strategies as st

from controlplane.confidentiality.contexts import context

PARTS = st.lists(st.text(max_size=4), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_make_the_same_context(one: list[str], other: list[str]) -> None:
    assert (context(*one) == context(*other)) == (one == other)


def test_where_a_part_ends_counts() -> None:
    assert context("a", "bc", "d") != context("a", "b", "cd") != context("abcd")
