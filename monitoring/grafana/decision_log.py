"""Tables that are read from the decision log itself: what metrics cannot say, since they never name a device.

They ask the control plane (`GET /v1/decisions`) through Grafana's Infinity data source, as whoever that shows itself to
be, and policy decides what it may read.
"""

from monitoring.grafana.panels import Column, LogQuery, Panel, Row

DECISIONS = "ztfm-decisions"
DECISION_COLUMN = "Decision"
"""Its values lead to the decision."""

_LATEST = 50
_RANGE = {"since": "${__from:date:seconds}", "until": "${__to:date:seconds}", "limit": str(_LATEST)}
_LISTED = (
    Column("time", "Time", "timestamp_epoch_s"),
    Column("outcome", "Outcome"),
    Column("action", "Action"),
    Column("subject", "Subject"),
    Column("resource", "Resource"),
    Column("reasons.#.code|@tostr", "Missing"),
    Column("id", DECISION_COLUMN),
)


def _latest(outcome: str) -> LogQuery:
    return LogQuery("/v1/decisions", _LISTED, "decisions", {"outcome": outcome, **_RANGE})


LATEST_DENIED = Panel(
    "Latest denied decisions",
    f"The newest {_LATEST} denials and errors of the time range, each with what was missing; a click on a decision "
    "says why. Does it stay empty while denials are counted, or show an error? Then Grafana may not read the log: "
    "docs/grafana.md.",
    [_latest("deny"), _latest("error")],
    "none",
    kind="table",
    width=24,
)

ONE_DECISION = Row(
    "One decision",
    (
        Panel(
            "What was missing, and what helps",
            "Each requirement that was not proven, with its remedy. Click a decision above, or write its id at the "
            "top; until then the answer is that there is none.",
            [
                LogQuery(
                    "/v1/decisions/${decision}",
                    (
                        Column("code", "Requirement"),
                        Column("message", "What was missing"),
                        Column("remedy", "What helps"),
                    ),
                    "reasons",
                )
            ],
            "none",
            kind="table",
            width=12,
        ),
        Panel(
            "The record",
            "Who asked for what, by which policy it was decided, and the facts it was decided on. If it should have "
            "been allowed, take it apart at the terminal: ztfm policy explain ID.",
            [
                LogQuery(
                    "/v1/decisions/${decision}",
                    (
                        Column("time", "Time", "timestamp_epoch_s"),
                        Column("outcome", "Outcome"),
                        Column("action", "Action"),
                        Column("subject", "Subject"),
                        Column("resource", "Resource"),
                        Column("policy_revision", "Policy revision"),
                        Column("rules|@tostr", "Asked"),
                        Column("obligations|@tostr", "Obligations"),
                        Column("facts|@tostr", "Facts"),
                    ),
                )
            ],
            "none",
            kind="table",
            width=12,
        ),
    ),
    height=9,
)
