"""Groups of a round's members."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.capabilities.grouping import group_digest, partition


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.text(max_size=8))
def test_everybody_is_in_one_group_of_nearly_the_same_size(count: int, size: int, seed: str) -> None:
    members = [f"dev-{number}" for number in range(count)]
    groups = partition(seed, members, size)
    assert sorted(member for group in groups for member in group) == sorted(members)
    sizes = {len(group) for group in groups}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(size, count)


def test_groups_follow_from_the_seed_and_not_from_the_order_of_members() -> None:
    members = [f"dev-{number}" for number in range(24)]
    assert partition("a", members, 8) == partition("a", members[::-1], 8) != partition("b", members, 8)


def test_over_rounds_everybody_is_with_everybody() -> None:
    members = [f"dev-{number}" for number in range(16)]
    met = {one for seed in range(40) for group in partition(str(seed), members, 4) if "dev-0" in group for one in group}
    assert met == set(members)


def test_nobody_makes_no_group() -> None:
    assert partition("a", [], 4) == []
    with pytest.raises(ValueError, match="one member"):
        partition("a", ["dev-1"], 0)


def test_a_group_is_known_by_its_members_in_any_order() -> None:
    assert group_digest(["dev-b", "dev-a"]) == group_digest(("dev-a", "dev-b")) != group_digest(["dev-a"])
