"""Changes of policy: what decides since when, what a revision changed, what a candidate would, what is waived."""

from monitoring.grafana.panels import Annotation, Dashboard, Panel, Query, Row
from monitoring.grafana.queries import BAD_FROM_ONE, GOOD_FROM_ONE, NEVER_BAD, ODD_FROM_ONE, YES, total

_DECIDING = Row(
    "What decides",
    (
        Panel(
            "Policy revision",
            "The revision that decides, by instance: commit of the policies and digest of their content. Two for "
            "longer than a minute: one instance did not take the release, see below.",
            [Query("ztfm_policy_info")],
            "none",
            kind="table",
            width=9,
        ),
        Panel(
            "Age of what is released",
            "Since the newest release of each layer was published. If you know of none that new, ztfm policy status "
            "says by whom.",
            [Query("time() - max by (layer) (ztfm_policy_published_timestamp_seconds)", "{{layer}}")],
            "s",
            kind="stat",
            width=5,
            steps=NEVER_BAD,
        ),
        Panel(
            "Decides by what is released",
            "By instance and layer. No for longer than a minute after a release: the instance refuses it or OPA does;"
            " its log says why.",
            [Query("min by (instance, layer) (ztfm_policy_current)", "{{instance}} {{layer}}")],
            "none",
            kind="stat",
            width=5,
            steps=GOOD_FROM_ONE,
            texts=YES,
        ),
        Panel(
            "What evaluates policies",
            "Instances by engine: an OPA, or the embedded one where somebody chose it. Embedded where you did not: "
            "ZTFM_ENGINE.",
            [Query("sum by (engine) (ztfm_policy_engine_info)", "{{engine}}")],
            "none",
            kind="stat",
            width=5,
        ),
    ),
    height=6,
)

_CHANGES = Row(
    "What a revision changed",
    (
        Panel(
            "Decisions, by revision",
            "Which policy gave how many decisions; at a release one takes over from the other. An old one that goes "
            "on is an instance that did not follow.",
            [Query("sum by (revision) (rate(ztfm_policy_decisions_total[5m])) > 0", "{{revision}}")],
            "ops",
            width=12,
        ),
        Panel(
            "Share denied, by revision",
            "How much each revision denies. If the newer one denies more and nothing else changed, go back first and "
            "find out afterwards: ztfm policy rollback.",
            [
                Query(
                    'sum by (revision) (rate(ztfm_policy_decisions_total{outcome!="allow"}[5m])) / '
                    "(sum by (revision) (rate(ztfm_policy_decisions_total[5m])) > 0)",
                    "{{revision}}",
                )
            ],
            "percentunit",
            width=12,
        ),
    ),
)

_RELEASES = Row(
    "Releases",
    (
        Panel(
            "Releases, 1 d",
            "Published, gone back to, or new with an upgrade; by the control planes themselves, not by commands. One "
            "that nobody announced: ztfm policy status names who.",
            [Query("sum by (layer, origin) (increase(ztfm_policy_releases_total[1d]))", "{{layer}} {{origin}}")],
            "short",
            width=12,
        ),
        Panel(
            "Bundles that were not taken, 1 h",
            "By reason. Those of an unknown key, or changed on the way, are nobody's slip: find out who sent them. "
            "Others fail their checks: ztfm policy check.",
            [Query("sum by (reason) (increase(ztfm_policy_refused_total[1h]))", "{{reason}}")],
            "short",
            width=12,
        ),
    ),
    height=6,
)

_SHADOW = Row(
    "In the shadow",
    (
        Panel(
            "A candidate beside the live policy",
            "What it was shown; nothing of it has an effect. Failed: it gave no decision. Dropped: it was not asked, "
            "for want of time. Do not publish a candidate that fails.",
            [Query("sum by (result) (rate(ztfm_shadow_decisions_total[5m]))", "{{result}}")],
            "ops",
            width=12,
        ),
        Panel(
            "What it would change, 1 h",
            "Where it disagrees with the live policy. Is each change meant? ztfm policy shadow report names actions, "
            "reasons, segments and decisions.",
            [Query("sum by (change) (increase(ztfm_shadow_changes_total[1h]))", "{{change}}")],
            "short",
            width=12,
        ),
    ),
    height=6,
)

_EXCEPTIONS = Row(
    "Exceptions",
    (
        Panel(
            "Granted",
            "Exceptions that have not ended; those that are signed with the policies are not among them. Many: change"
            " the policy instead.",
            [Query("max(ztfm_exceptions)")],
            "none",
            kind="stat",
            width=4,
            steps=NEVER_BAD,
        ),
        Panel(
            "In use, and end within a day",
            "Used within the last day. What they let through is denied when they end: grant anew, or tell who depends"
            " on it.",
            [Query("max(ztfm_exceptions_ending)")],
            "none",
            kind="stat",
            width=4,
            steps=ODD_FROM_ONE,
        ),
        Panel(
            "Requirements waived",
            "Those without which a decision would have been a denial, by action and requirement. A rise: somebody "
            "leans on an exception; ztfm policy exception list says which.",
            [Query("sum by (action, reason) (rate(ztfm_exceptions_used_total[5m]))", "{{action}} {{reason}}")],
            "ops",
            width=10,
        ),
        Panel(
            "Since they were read",
            "Above 10 s an instance counts none of them, since one may have been revoked meanwhile: look at its "
            "database.",
            [Query("max by (instance) (ztfm_exceptions_age_seconds)", "{{instance}}")],
            "s",
            width=6,
        ),
    ),
    height=6,
)

_LOG = Row(
    "What the log may hold",
    (
        Panel(
            "Kept out of the log, 1 h",
            "Values that policy masks in records, by action. A rise: a caller began to send something that it should "
            "not.",
            [Query("sum by (action) (increase(ztfm_decision_log_masked_total[1h]))", "{{action}}")],
            "short",
            width=16,
        ),
        Panel(
            "Policy did not say what to keep out, 1 h",
            "While it does not, all that callers add is masked. Go back to a policy that says: policies/ztfm/log.",
            [total("ztfm_decision_log_terms_failures_total")],
            "none",
            kind="stat",
            width=8,
            steps=BAD_FROM_ONE,
        ),
    ),
    height=6,
)

DASHBOARD = Dashboard(
    "ztfm-policy",
    "ZTFM policy changes",
    "What decides since when, what did it change, and what would a candidate?",
    (_DECIDING, _CHANGES, _RELEASES, _SHADOW, _EXCEPTIONS, _LOG),
    annotations=(
        Annotation(
            "Releases",
            "max by (layer) (ztfm_policy_published_timestamp_seconds) * 1000",
            "Released: {{layer}}",
        ),
    ),
)
