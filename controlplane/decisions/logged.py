"""Which of the recorded decisions a query wants, in the words of the store."""

from controlplane.contracts.decision import DecisionQuery
from controlplane.contracts.facts import FACTS
from controlplane.decisions.ids import first_id
from controlplane.storage.decisions import LAST_ID, Wanted

_OF_MANY_ACTIONS = ("admin", "other", "site")
"""Packages under whose name many actions are recorded."""


def wanted_by(query: DecisionQuery, before: str = LAST_ID) -> Wanted:
    """Return what the store's columns can say about ``query``; the action and reason of a record may say more."""
    actions: tuple[str, ...] = ()
    if query.action is not None:
        actions = (query.action,) if query.action in FACTS else _OF_MANY_ACTIONS
    # Ids are cut to whole milliseconds: what lies within the last one is the column's to say.
    ceiling = LAST_ID if query.until is None else first_id("dec", query.until + 0.001)
    return Wanted(
        before=min(before, ceiling),
        floor="" if query.since is None else first_id("dec", query.since),
        since=query.since,
        until=query.until,
        actions=actions,
        outcome=query.outcome,
        subject=query.subject,
    )
