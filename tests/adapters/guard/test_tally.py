"""What a round's report keeps is bounded, whatever is thrown at the aggregator; what it counts is all of it."""

from adapters.guard.reports import MOST_DROPS, Drop, GuardReport
from adapters.guard.rulings import Gated
from adapters.guard.tally import Tally


def test_of_a_flood_the_first_drops_are_kept_and_all_are_counted() -> None:
    report = GuardReport()
    tally = Tally(report, lambda: 7.0)
    tally.begin("r1", 5, "mean")
    tally.begin("r2", 3, "trimmed_mean")
    tally.pulled("r1")
    told = Drop("gate", "absent", "a", "r1")
    tally.dropped(told)
    for number in range(2 * MOST_DROPS):
        tally.dropped(Drop("pull", "malformed", f"stranger-{number}", "r1"))
    tally.dropped(Drop("gate", "declined", "b", "r2"))
    tally.end("r1", Gated((), ()))
    ended = report.rounds[0]
    assert (ended.round_id, ended.members, ended.pulled, ended.aggregation) == ("r1", 5, 1, "mean")
    assert len(ended.drops) == MOST_DROPS
    assert (ended.drops[0], ended.drops[-1].subject) == (told, f"stranger-{MOST_DROPS - 2}")
    assert ended.dropped == {("gate", "absent"): 1, ("pull", "malformed"): 2 * MOST_DROPS}
    assert report.drops == {**ended.dropped, ("gate", "declined"): 1}
    assert (report.opened, report.gated_at) == (2, 7.0)
    tally.end("r2", Gated((), ()))
    assert report.rounds[1].dropped == {("gate", "declined"): 1}
