"""The dashboard to look at first: whether it is up, what is denied, who is set apart, and whether policy is current."""

from monitoring.grafana.decision_log import LATEST_DENIED
from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import BAD_FROM_ONE, GOOD_FROM_ONE, NEVER_BAD, ODD_FROM_ONE, REACHED, YES, total

_UP = Row(
    "Is it up?",
    (
        Panel(
            "Reached",
            "Whether Prometheus reaches every control plane that was there within a day. If not, nothing below is "
            "current: is the process there, and is the token of /metrics the one that Prometheus shows?",
            [Query(f"min({REACHED})")],
            "none",
            kind="stat",
            width=4,
            steps=GOOD_FROM_ONE,
            texts=YES,
        ),
        Panel(
            "Ready",
            "OPA reachable, a policy active, the store usable, a signing key there. If not, /readyz names the part "
            "that fails.",
            [Query("min(ztfm_ready)")],
            "none",
            kind="stat",
            width=4,
            steps=GOOD_FROM_ONE,
            texts=((0, "not ready"), (1, "ready")),
            leads_to="ztfm-health",
        ),
        Panel(
            "Decides by what is released",
            "Whether every instance decides by the newest release. A minute after a release it should; if it does "
            "not, the instance refused the bundle or OPA did: the policy dashboard says why.",
            [Query("min(ztfm_policy_current)")],
            "none",
            kind="stat",
            width=4,
            steps=GOOD_FROM_ONE,
            texts=YES,
            leads_to="ztfm-policy",
        ),
        Panel(
            "Could not be asked, 5 min",
            "Share of decisions that denied because policy could not be asked. Anything above nothing is a fault of "
            "ours and no caller's: look at OPA.",
            [Query("sum(job:ztfm_decision_errors:ratio_rate5m) or vector(0)")],
            "percentunit",
            kind="stat",
            width=4,
            steps=((None, "green"), (0.001, "orange"), (0.01, "red")),
            leads_to="ztfm-health",
        ),
        Panel(
            "Records lost, 1 h",
            "Decisions that could not be recorded and so were not given out. If there are any, look at the database "
            "and at its disk.",
            [total("ztfm_audit_records_total", matching='result="failed"')],
            "none",
            kind="stat",
            width=4,
            steps=BAD_FROM_ONE,
            leads_to="ztfm-health",
        ),
        Panel(
            "Alerts that fire",
            "How many of our alerts fire now. Each has a section in the runbook; Prometheus lists them under Alerts.",
            [Query('count(ALERTS{alertname=~"Ztfm.+", alertstate="firing"}) or vector(0)')],
            "none",
            kind="stat",
            width=4,
            steps=ODD_FROM_ONE,
        ),
    ),
    height=4,
)

_DECIDED = Row(
    "What is decided?",
    (
        Panel(
            "Decisions by outcome",
            "What is asked, and what becomes of it. A rise of denials begins with a policy (marked), a fleet, or an "
            "attacker; an error denies too, and says that policy could not be asked.",
            [
                Query(
                    'sum by (outcome) (rate(ztfm_decisions_total{action!="search"}[5m]))', "{{outcome}}", exemplars=True
                )
            ],
            "ops",
            leads_to="ztfm-decisions",
        ),
        Panel(
            "Share denied, by action",
            "Of what is asked, how much policy denies. If one action stands out since a mark, compare revisions and "
            "go back: ztfm policy rollback.",
            [
                Query(
                    'sum by (action) (rate(ztfm_decisions_total{outcome="deny", action!="search"}[5m])) / '
                    '(sum by (action) (rate(ztfm_decisions_total{action!="search"}[5m])) > 0)',
                    "{{action}}",
                )
            ],
            "percentunit",
            leads_to="ztfm-decisions",
        ),
        Panel(
            "What is missing most",
            "The requirements that most denials lack. docs/policy-reference.md has a remedy for each of them.",
            [
                Query(
                    'topk(6, sum by (reason) (rate(ztfm_decision_reasons_total{action!="search"}[5m])) > 0)',
                    "{{reason}}",
                )
            ],
            "ops",
            leads_to="ztfm-decisions",
        ),
    ),
)

_LATEST = Row("Who was denied?", (LATEST_DENIED,), height=9)

_APART = Row(
    "Who is set apart?",
    (
        Panel(
            "Subjects, by where they stand",
            "Quarantined ones are granted nothing, recovering ones are judged and nothing of theirs enters a model. "
            "If many are set apart at once, suspect the terms or the reference before you suspect the fleet: ztfm "
            "devices list.",
            [Query("max by (state) (ztfm_behaviour_subjects)", "{{state}}")],
            "none",
            kind="bargauge",
            width=6,
            leads_to="ztfm-federation",
        ),
        Panel(
            "Quarantined, 30 min",
            "Subjects that policy set apart, by segment. More than an odd one: ztfm devices why ID says what each did.",
            [Query("sum by (segment) (segment:ztfm_quarantines:increase30m)", "{{segment}}")],
            "none",
            kind="bargauge",
            width=6,
            steps=((None, "green"), (1.0, "orange"), (10.0, "red")),
            leads_to="ztfm-federation",
        ),
        Panel(
            "Least trust",
            "The lowest trust of anybody who may still ask; below 0.25 a subject is granted next to nothing. Who it "
            "is, metrics never say: GET /v1/behaviour does.",
            [Query('min(ztfm_least_trust_score{rank="1"})')],
            "percentunit",
            kind="stat",
            width=4,
            steps=((None, "red"), (0.25, "orange"), (0.7, "green")),
            leads_to="ztfm-federation",
        ),
        Panel(
            "Rollbacks waiting",
            "Ordered and not done: what they undo is still in the model. One that waits for longer than a round: does"
            " the aggregator that opened it still run?",
            [Query("max(ztfm_rollbacks_waiting)")],
            "none",
            kind="stat",
            width=4,
            steps=ODD_FROM_ONE,
            leads_to="ztfm-federation",
        ),
        Panel(
            "Age of the policy",
            "Since the newest release was published. Old is not bad; newer than you know of is: ztfm policy status "
            "names who published it.",
            [Query("time() - max(ztfm_policy_published_timestamp_seconds)")],
            "s",
            kind="stat",
            width=4,
            steps=NEVER_BAD,
            leads_to="ztfm-policy",
        ),
    ),
    height=6,
)

DASHBOARD = Dashboard(
    "ztfm-overview",
    "ZTFM overview",
    "Is it up, what is denied, who is set apart, is the policy current?",
    (_UP, _DECIDED, _LATEST, _APART),
)
