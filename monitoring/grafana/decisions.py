"""What policy decides, and why it denies, down to the single decision."""

from monitoring.grafana.decision_log import DECISIONS, LATEST_DENIED, ONE_DECISION
from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import ODD_FROM_ONE, buckets, quantiles

_DECIDED = Row(
    "Decisions",
    (
        Panel(
            "Decisions by action and outcome",
            "Everything that was decided. An error denies as a deny does, and says that policy could not be asked: "
            "then look at OPA and not at the caller. Dots lead to single decisions.",
            [
                Query(
                    "sum by (action, outcome) (rate(ztfm_decisions_total[5m])) > 0",
                    "{{action}} {{outcome}}",
                    exemplars=True,
                )
            ],
            "ops",
            width=12,
        ),
        Panel(
            "What was missing in denials",
            "Requirements that were not proven, by action, searches apart. Reasons that begin with policy_ are "
            "errors; each other one has its remedy in docs/policy-reference.md.",
            [
                Query(
                    'topk(12, sum by (action, reason) (rate(ztfm_decision_reasons_total{action!="search"}[5m])) > 0)',
                    "{{action}} {{reason}}",
                    exemplars=True,
                )
            ],
            "ops",
            width=12,
        ),
    ),
    height=8,
)

_SPEED = Row(
    "How fast",
    (
        Panel(
            "Decision latency",
            "From gathered facts to a recorded decision. When it rises, the health dashboard says whether OPA or the "
            "log became slow. Dots lead to single decisions.",
            quantiles("ztfm_decision_duration_seconds", "action", exemplars=True),
            "s",
            width=12,
        ),
        Panel(
            "How long decisions take",
            "The same of every decision: a second band above the first is a queue, or one action that costs more than"
            " others. Compare with decisions per call to OPA.",
            buckets("ztfm_decision_duration_seconds"),
            "s",
            kind="heatmap",
            width=12,
        ),
    ),
)

_PROMISED = Row(
    "What is promised",
    (
        Panel(
            "How fast the budgets burn",
            "Decisions that could not be asked (1 of 1,000 may be), and slow ones (1 of 100 may take above 80 ms), "
            "over an hour: at 1 a budget lasts its 30 days. Above 14.4 somebody is woken, and the runbook says where "
            "to look.",
            [
                Query("sum(job:ztfm_decision_errors:ratio_rate1h) / 0.001", "not asked"),
                Query("sum(job:ztfm_slow_decisions:ratio_rate1h) / 0.01", "slow"),
            ],
            "none",
            width=10,
        ),
        Panel(
            "Held",
            "Actions that alerts have had denied for a time, by segment and action. Whoever is denied for one lacks "
            "action_not_held; if the alert was wrong, release the hold.",
            [Query("max(ztfm_holds)")],
            "none",
            kind="stat",
            width=4,
            steps=ODD_FROM_ONE,
        ),
        Panel(
            "Alerts that asked policy, 1 h",
            "By what became of them. denied: the alert may ask for nothing, by its severity. full: no more can be "
            "held, and late: it was too old; either way look at the fleet yourself.",
            [Query("sum by (response) (increase(ztfm_alerts_total[1h]))", "{{response}}")],
            "short",
            width=10,
        ),
    ),
    height=6,
)

_LATEST = Row("Latest denied", (LATEST_DENIED,), height=10)

_CAPABILITIES = Row(
    "Capabilities and tokens",
    (
        Panel(
            "Capabilities issued",
            "What was granted, by action. None while devices ask: look at what was missing above.",
            [Query("sum by (action) (rate(ztfm_capabilities_issued_total[5m]))", "{{action}}")],
            "ops",
        ),
        Panel(
            "Tokens by grant",
            "Capabilities by exchange, and access tokens for this API by client credentials. A client that asks anew "
            "for each request does not keep its token: tell its owner.",
            [Query("sum by (grant) (rate(ztfm_oauth_tokens_total[5m]))", "{{grant}}")],
            "ops",
        ),
        Panel(
            "Introspections",
            "What enforcement points were told of tokens. Inactive ones rise with revocations, as they should; "
            "without any, somebody shows old tokens.",
            [Query("sum by (result) (rate(ztfm_introspections_total[5m]))", "{{result}}")],
            "ops",
        ),
    ),
    height=6,
)

_SEARCHES = Row(
    "Searches",
    (
        Panel(
            "Pages of searches",
            "By what is searched for. Many of the same come from an enforcement point without a cache: give it one.",
            [Query("sum by (kind) (rate(ztfm_search_candidates_count[5m])) > 0", "{{kind}}")],
            "ops",
            width=12,
        ),
        Panel(
            "Candidates that a page asked of",
            "256 at most; each is a decision and counts against its caller's rate. If pages are always full, narrow "
            "the search.",
            quantiles("ztfm_search_candidates", "kind"),
            "short",
            width=12,
        ),
    ),
    height=6,
)

DASHBOARD = Dashboard(
    DECISIONS,
    "ZTFM decisions and why denied",
    "What is decided, why is it denied, and why was this one?",
    (_DECIDED, _LATEST, ONE_DECISION, _SPEED, _PROMISED, _CAPABILITIES, _SEARCHES),
    asks_for_decision=True,
)
