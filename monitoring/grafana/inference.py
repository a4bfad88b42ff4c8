"""Inference: who may ask the model, what gateways report of the queries, and who asks for more than its role may."""

from monitoring.grafana import content
from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import buckets, last_hour, quantiles

_BUDGETS = "requests_within_budget|tokens_within_budget"

_DECIDED = Row(
    "Inference decisions",
    (
        Panel(
            "Inferences by outcome",
            "Decisions on whether the model may be asked. A rise of denials: what was missing, beside. Errors: OPA, "
            "on the health dashboard.",
            [
                Query(
                    'sum by (outcome) (rate(ztfm_decisions_total{action="inference"}[5m]))',
                    "{{outcome}}",
                    exemplars=True,
                )
            ],
            "ops",
        ),
        Panel(
            "What inferences lacked",
            "Requirements that were not proven. trust_sufficient is a device that lost trust: the federation "
            "dashboard says how.",
            [Query('sum by (reason) (rate(ztfm_decision_reasons_total{action="inference"}[5m])) > 0', "{{reason}}")],
            "ops",
        ),
        Panel(
            "Latency of inference decisions",
            "What a gateway waits for before it asks the model. If it is much of the whole answer, let the gateway "
            "keep the capability for as long as it lasts.",
            quantiles("ztfm_decision_duration_seconds", matching='action="inference"', exemplars=True),
            "s",
        ),
    ),
)

_BUDGETED = Row(
    "Budgets",
    (
        Panel(
            "Denied for a budget, by reason",
            "A subject asked for more requests, or for more tokens, than its role has in a minute. One at a time is a"
            " busy device; a steady line is a loop, or a copy of the model in the making: see who, among the latest "
            "denied.",
            [
                Query(
                    f'sum by (reason) (rate(ztfm_decision_reasons_total{{reason=~"{_BUDGETS}"}}[5m])) or '
                    'label_replace(vector(0), "reason", "none", "", "")',
                    "{{reason}}",
                )
            ],
            "ops",
            leads_to="ztfm-decisions",
        ),
        Panel(
            "Denied for a budget, by action, 1 h",
            "Where budgets are met. If honest devices meet them, raise the role's budget: policies/data/roles.",
            [
                Query(
                    f'sum by (action) (increase(ztfm_decision_reasons_total{{reason=~"{_BUDGETS}"}}[1h])) or '
                    'label_replace(vector(0), "action", "none", "", "")',
                    "{{action}}",
                )
            ],
            "none",
            kind="bargauge",
        ),
        Panel(
            "Turned away before a decision",
            "Requests of callers that ask too often (429), which cost no decision. A steady line: a client that does "
            "not wait when it is told to.",
            [Query('sum(rate(ztfm_http_requests_total{status="429"}[5m])) or vector(0)', "429")],
            "reqps",
            leads_to="ztfm-health",
        ),
    ),
)

_SIGNALS = Row(
    "What gateways report",
    (
        Panel(
            "Flagged queries, 15 min",
            "What gateways found in queries: wordings of prompt injection, and what looks like a credential. A rise "
            "from one segment: look at its devices' verdicts, ztfm devices why ID.",
            [Query("sum by (flag) (increase(ztfm_inference_flags_total[15m]))", "{{flag}}")],
            "short",
        ),
        Panel(
            "Windows, 15 min",
            "A window of a subject's requests, or one that a gateway reported. Lost ones met a fault: the log has it."
            " Passed over are reports that do not count; many: the gateway reports twice.",
            [
                Query(
                    "sum by (channel, result) (increase(ztfm_behaviour_windows_total[15m])) > 0",
                    "{{channel}} {{result}}",
                )
            ],
            "short",
        ),
        Panel(
            "Requests taken note of",
            "Decided requests of devices. Dropped ones found no room, and judged is what was folded: with many "
            "dropped, add a machine.",
            [Query("sum by (result) (rate(ztfm_requests_watched_total[5m]))", "{{result}}")],
            "reqps",
        ),
    ),
)

_DEVIATION = Row(
    "Deviation",
    (
        Panel(
            "Windows that deviate",
            "Share of windows that deviate from peers' and from the subject's own at all. A jump of all of them is a "
            "new app or a new model; of a few, somebody to look at.",
            [
                Query(
                    '1 - sum by (channel) (rate(ztfm_behaviour_score_bucket{le="0.0"}[15m])) '
                    "/ (sum by (channel) (rate(ztfm_behaviour_score_count[15m])) > 0)",
                    "{{channel}}",
                )
            ],
            "percentunit",
            width=12,
        ),
        Panel(
            "Deviation scores",
            "How far windows deviate; 0 is like peers. Scores far up that come again and again are one subject that "
            "asks otherwise than all: its evidence rises on the federation dashboard.",
            buckets("ztfm_behaviour_score"),
            "short",
            kind="heatmap",
            width=12,
        ),
    ),
)

_LEASED = Row(
    "Budgets that gateways lease",
    (
        Panel(
            "Fullest budget of its kind",
            "Used or held by gateways in the current hour or day. At one, requests of that subject, model or segment "
            "are answered with 429 until the window ends: ztfm budgets list says whose it is.",
            [Query("max by (scope) (ztfm_budget_fullest_share)", "{{scope}}")],
            "percentunit",
        ),
        Panel(
            "Leases and settlements, 1 h",
            "What became of what gateways asked for, and of what they told. exhausted: a budget had no room, below by "
            "whose it was; denied: the subject may not ask at all; unknown: a lease of more than a week ago, or of "
            "another gateway; lost today: leases that ended and that nobody settled, for a gateway died.",
            [
                last_hour("ztfm_budget_leases_total", "outcome"),
                last_hour("ztfm_budget_exhausted_total", "scope"),
                last_hour("ztfm_budget_settlements_total", "state"),
                Query("max(ztfm_budget_lost_leases)", "lost today"),
            ],
            "none",
        ),
        Panel(
            "Tokens and requests of leases, 1 h",
            "Used, and given back. Much given back of little used: leases are larger than gateways need, policies/data"
            "/budgets. Overdrawn: a model server answers with more tokens than it was asked for.",
            [
                Query("sum by (unit) (increase(ztfm_budget_used_total[1h]))", "{{unit}} used"),
                Query("sum by (unit) (increase(ztfm_budget_returned_total[1h]))", "{{unit}} given back"),
                Query("sum(increase(ztfm_budget_overdrawn_tokens_total[1h]))", "tokens overdrawn"),
                Query("max(ztfm_budget_lost_tokens)", "tokens lost today"),
            ],
            "short",
        ),
    ),
)

DASHBOARD = Dashboard(
    "ztfm-inference",
    "ZTFM inference and budgets",
    "Who may ask the model, how often, and what do the queries look like?",
    (_DECIDED, _BUDGETED, _LEASED, _SIGNALS, content.ROW, _DEVIATION),
)
