"""Reports go in parts in which enough updates are together to be compared."""

import pytest

from adapters.guard.gating import REPORTED_AT_ONCE, SMALLEST_COHORT, in_parts
from controlplane.contracts.access import Verification
from controlplane.contracts.rounds import UpdateReport


def reports(held: int, refused: int = 0) -> list[UpdateReport | None]:
    """Return these many of each, mixed, and one that cannot be reported."""
    verified = [True] * held + [False] * refused
    made: list[UpdateReport | None] = [
        UpdateReport(
            subject=f"device-{number}",
            capability=None,
            verification=Verification(verified=one, cause="" if one else "replayed"),
        )
        for number, one in enumerate(verified)
    ]
    return [*made[::2], None, *made[1::2]]


@pytest.mark.parametrize("held", [4, 499, 500, 501, 502, 503, 1000, 1001, 1501])
@pytest.mark.parametrize("refused", [0, 1, 700])
def test_no_part_has_too_few_updates_to_compare(held: int, refused: int) -> None:
    sent = reports(held, refused)
    parts = in_parts(sent, REPORTED_AT_ONCE)
    together = [sum(report.verification.verified for _, report in part) for part in parts]
    assert all(count == 0 or count >= SMALLEST_COHORT for count in together)
    assert max(together) - min(count for count in together if count) < len(parts)
    assert all(len(part) <= REPORTED_AT_ONCE for part in parts)
    told = [one for part in parts for one in part]
    assert sorted(number for number, _ in told) == [number for number, one in enumerate(sent) if one is not None]
    assert all(sent[number] is report for number, report in told)


def test_what_fits_one_call_goes_in_one_and_nothing_in_none() -> None:
    assert len(in_parts(reports(300, 200), REPORTED_AT_ONCE)) == 1
    assert [len(part) for part in in_parts(reports(0, 501), REPORTED_AT_ONCE)] == [500, 1]
    assert in_parts([None], REPORTED_AT_ONCE) == []
