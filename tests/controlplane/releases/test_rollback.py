"""Going back is undo: it leads to what decided before, and never to what somebody left."""

from collections.abc import Sequence

import pytest

from controlplane.contracts.policies import Release
from controlplane.releases.errors import NoSuchRelease
from controlplane.releases.rollback import named, previous
from tests.controlplane.releases.samples import release, revision


def history(*steps: str) -> Sequence[Release]:
    """Releases newest first; ``<A`` is a step back to A."""
    made = [
        release(number, step.removeprefix("<"), "rolled_back" if step.startswith("<") else "published")
        for number, step in enumerate(steps, 1)
    ]
    return made[::-1]


@pytest.mark.parametrize(
    ("steps", "leads_to"),
    [
        ("A B", "A"),
        ("A B C", "B"),
        ("A B C <B", "A"),
        ("A B <A C", "A"),
        ("A B C <B D", "B"),
        ("A B A", "B"),
        ("A B A <B", "A"),
        ("A B B", "A"),
        ("A B C <A D", "A"),
        ("A B C <A <C", "A"),
        ("<A B", "A"),
    ],
)
def test_a_step_back_leads_to_what_decided_before(steps: str, leads_to: str) -> None:
    assert previous(history(*steps.split())).revision == revision(leads_to)


@pytest.mark.parametrize("steps", ["", "A", "A A", "A B <A", "A B C <B <A"])
def test_where_nothing_lies_below_there_is_no_step_back(steps: str) -> None:
    with pytest.raises(NoSuchRelease):
        previous(history(*steps.split()))


def test_by_name_one_gets_to_any_release_that_is_kept_but_the_current_one() -> None:
    past = history(*["A", "B", "A", "C"])
    assert named(past, revision("A")).sequence == 3
    assert named(past, revision("B")).sequence == 2
    with pytest.raises(NoSuchRelease, match="already"):
        named(past, revision("C"))
    for nothing in (past, ()):
        with pytest.raises(NoSuchRelease, match="no release"):
            named(nothing, revision("D"))
