"""Rows of the federation's dashboard on what the control plane only hears of: aggregators' rounds, sites' decisions."""

from monitoring.grafana.panels import Panel, Query, Row
from monitoring.grafana.queries import ODD_FROM_ONE, total

_AGGREGATORS = Row(
    "Rounds, as aggregators see them",
    (
        Panel(
            "Aggregators' rounds, 1 h",
            "Opened, and gated: every update was ruled on. Empty where no aggregator's metrics are scraped: "
            "docs/operating.md says how. Opened without gated: the job fails between the two.",
            [Query("sum by (model, stage) (increase(ztfm_adapter_rounds_total[1h]))", "{{model}} {{stage}}")],
            "short",
            width=5,
        ),
        Panel(
            "Members of the last round",
            "Who might take part, was given the weights, sent an update, had it accepted. Where the numbers fall is "
            "where to look.",
            [Query("sum by (audience, stage) (ztfm_adapter_last_round_members)", "{{audience}} {{stage}}")],
            "short",
            width=5,
        ),
        Panel(
            "Left out, 1 h",
            "By where in a round and why; absent, failed and declined are known to the aggregator alone. Absent ones:"
            " is the round too short for slow devices?",
            [Query("sum by (point, cause) (increase(ztfm_adapter_drops_total[1h])) > 0", "{{point}} {{cause}}")],
            "short",
            width=5,
        ),
        Panel(
            "Pulls and updates, 1 h",
            "What the guard let through and what it refused, by cause. wrong_key, bad_signature and replayed are "
            "attacks, or clients that are broken.",
            [
                Query("sum by (outcome) (increase(ztfm_adapter_pulls_total[1h]))", "pull {{outcome}}"),
                Query("sum by (outcome) (increase(ztfm_adapter_updates_total[1h]))", "update {{outcome}}"),
            ],
            "short",
            width=5,
        ),
        Panel(
            "Since the last round",
            "How long ago each aggregator gated a round. Longer than a round takes: it stopped, or nobody answers it.",
            [Query("time() - max by (audience) (ztfm_adapter_last_round_timestamp_seconds > 0)", "{{audience}}")],
            "s",
            kind="stat",
            width=4,
        ),
    ),
)

_ARCHIVE = Row(
    "What aggregators keep",
    (
        Panel(
            "Updates kept for rollbacks",
            "What earlier rounds take on the aggregator's disk. Let it keep fewer rounds before the disk is full; a "
            "rollback goes back no further.",
            [Query("sum by (audience) (ztfm_adapter_archive_size_bytes)", "{{audience}}")],
            "bytes",
        ),
        Panel(
            "Rounds kept",
            "So far back a rollback can go. If it falls to nothing, the archive was lost: docs/rollback.md.",
            [Query("min by (audience) (ztfm_adapter_archive_rounds)", "{{audience}}")],
            "short",
        ),
        Panel(
            "Models rebuilt, 1 h",
            "What became of orders at aggregators. After a failed one the aggregator's log names the round that did "
            "not fit.",
            [Query("sum by (outcome) (increase(ztfm_adapter_rollbacks_total[1h]))", "{{outcome}}")],
            "short",
        ),
    ),
    height=6,
)

_SUMS = Row(
    "Updates that nobody sees",
    (
        Panel(
            "Secure sums, 1 h",
            "Of groups of members, by what became of them. too_few: more members went away than a sum withstands; "
            "bad_shares and implausible: somebody cheats, and the aggregator's log names who. Empty where policy lets "
            "updates be seen.",
            [Query("sum by (outcome) (increase(ztfm_adapter_sums_total[1h]))", "{{outcome}}")],
            "short",
            width=12,
        ),
        Panel(
            "Dropped from sums, 1 h",
            "Share of the members of groups whose updates are in no sum. Near what a sum withstands, the next "
            "ones come to nothing: smaller groups are no help, longer rounds are.",
            [
                Query(
                    'sum by (audience) (increase(ztfm_adapter_sum_members_total{outcome="dropped"}[1h]))'
                    " / sum by (audience) (increase(ztfm_adapter_sum_members_total[1h]))",
                    "{{audience}}",
                )
            ],
            "percentunit",
            width=12,
        ),
    ),
    height=6,
)

_SITES = Row(
    "What sites decide by themselves",
    (
        Panel(
            "Sites' decisions, 1 h",
            "By what was asked and what became of it, as far as sites have told; one that is offline tells later. "
            "Vetoes are their owners' right: ask them, and do not work around them.",
            [Query("sum by (action, outcome) (increase(ztfm_site_decisions_total[1h]))", "{{action}} {{outcome}}")],
            "short",
            width=10,
        ),
        Panel(
            "Vetoes by segment, 1 h",
            "Homes that are closed by day say no all day long: compare with the day before. A new rise: a round or a "
            "model that sites do not want.",
            [Query("sum by (segment) (segment:ztfm_site_vetoes:increase1h)", "{{segment}}")],
            "short",
            width=8,
        ),
        Panel(
            "Statements not taken, 24 h",
            "Not signed by the device that handed them in, or saying something else than a decision. Somebody forges "
            "them, or runs another version: look at who hands in.",
            [total("ztfm_site_statements_total", "24h", 'result="refused"')],
            "none",
            kind="stat",
            width=6,
            steps=ODD_FROM_ONE,
        ),
    ),
    height=6,
)

ROWS = (_AGGREGATORS, _SUMS, _ARCHIVE, _SITES)
