"""The operator's dashboard as code: ``python -m monitoring.grafana.build`` writes its JSON, ``--check`` compares it."""

import argparse
import json
import sys
from pathlib import Path

from monitoring.grafana.panels import Panel, Query, Row, dashboard

DASHBOARD = Path(__file__).parent / "dashboards" / "ztfm.json"
GOOD_OR_BAD = ((None, "red"), (1.0, "green"))
BAD_FROM_ONE = ((None, "green"), (1.0, "red"))


def quantiles(histogram: str, *labels: str) -> list[Query]:
    """Return the median and the 99th percentile of a histogram over five minutes."""
    by = ", ".join((*labels, "le"))
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return [
        Query(f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket[5m])))", f"{legend} {name}".strip())
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]


def buckets(histogram: str) -> list[Query]:
    """Return a histogram's buckets, for a heatmap."""
    return [Query(f"sum by (le) (increase({histogram}_bucket[$__rate_interval]))", "{{le}}")]


HEALTH = Row(
    "Can it decide?",
    (
        Panel(
            "Ready",
            "OPA reachable, a policy active, the store usable, a signing key there.",
            [Query("min(ztfm_ready)")],
            kind="stat",
            width=4,
            steps=GOOD_OR_BAD,
            texts=((0, "not ready"), (1, "ready")),
        ),
        Panel(
            "Calls to OPA",
            "After five faults in a row calls are suspended; a trial call every half second ends that.",
            [Query("max(ztfm_opa_circuit_open)")],
            kind="stat",
            width=4,
            steps=BAD_FROM_ONE,
            texts=((0, "flowing"), (1, "suspended")),
        ),
        Panel(
            "Decisions that could not be asked, 5 min",
            "Share with outcome error: denied because policy could not be asked.",
            [Query("sum(job:ztfm_decision_errors:ratio_rate5m) or vector(0)")],
            kind="stat",
            unit="percentunit",
            width=4,
            steps=((None, "green"), (0.001, "orange"), (0.01, "red")),
        ),
        Panel(
            "Records lost, 1 h",
            "Decisions that could not be recorded and so were not given out.",
            [Query('sum(increase(ztfm_audit_records_total{result="failed"}[1h])) or vector(0)')],
            kind="stat",
            width=4,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            "Policy revision",
            "The revision that decides, by instance: commit of the policies and digest of their content.",
            [Query("ztfm_policy_info")],
            kind="table",
            width=8,
        ),
    ),
    height=5,
)

DECISIONS = Row(
    "Decisions",
    (
        Panel(
            "Decisions by action and outcome",
            "An error denies as a deny does; it says that policy could not be asked.",
            [Query("sum by (action, outcome) (action_outcome:ztfm_decisions:rate5m) > 0", "{{action}} {{outcome}}")],
            unit="reqps",
            width=9,
        ),
        Panel(
            "What was missing in denials",
            "Requirements that were not proven, by action, searches apart. Reasons that begin with policy_ are errors.",
            [
                Query(
                    'topk(12, sum by (action, reason) (rate(ztfm_decision_reasons_total{action!="search"}[5m])) > 0)',
                    "{{action}} {{reason}}",
                )
            ],
            unit="reqps",
            width=8,
        ),
        Panel(
            "Decision latency",
            "From gathered facts to a recorded decision.",
            quantiles("ztfm_decision_duration_seconds", "action"),
            unit="s",
            width=7,
        ),
    ),
)

ENGINE = Row(
    "OPA",
    (
        Panel(
            "What evaluates policies",
            "Instances by engine: an OPA, or the embedded one where somebody chose it.",
            [Query("sum by (engine) (ztfm_policy_engine_info)", "{{engine}}")],
            kind="stat",
            width=4,
        ),
        Panel(
            "Latency of calls",
            "A call carries up to 64 decisions.",
            quantiles("ztfm_opa_request_duration_seconds"),
            unit="s",
            width=5,
        ),
        Panel(
            "Calls by result",
            "Anything but ok denied what the call carried.",
            [Query("sum by (result) (rate(ztfm_opa_requests_total[5m])) > 0", "{{result}}")],
            unit="reqps",
            width=5,
        ),
        Panel(
            "Decisions per call",
            "Grows with load: what arrives while a call is under way travels together.",
            buckets("ztfm_opa_batch_size"),
            kind="heatmap",
            width=5,
        ),
        Panel(
            "Queue and restarts",
            "Decisions that wait for a call; OPA processes and workers that ended by themselves; workers that serve.",
            [
                Query("sum(ztfm_opa_queue_length)", "waiting"),
                Query("sum(increase(ztfm_sidecar_restarts_total[15m]))", "restarts in 15 min"),
                Query("sum(increase(ztfm_worker_restarts_total[15m]))", "workers begun again in 15 min"),
                Query("sum(ztfm_workers)", "workers"),
            ],
            width=5,
        ),
    ),
)

POLICIES = Row(
    "Policies",
    (
        Panel(
            "Age of what is released",
            "Since the newest release of each layer was published. `ztfm policy status` says by whom.",
            [Query("time() - max by (layer) (ztfm_policy_published_timestamp_seconds)", "{{layer}}")],
            kind="stat",
            unit="s",
            width=6,
            steps=((None, "green"),),
        ),
        Panel(
            "Decides by what is released",
            "By instance and layer. Longer than a minute after a release, the instance refuses it or OPA does.",
            [Query("ztfm_policy_current", "{{instance}} {{layer}}")],
            kind="stat",
            width=6,
            steps=((None, "red"), (1.0, "green")),
            texts=((0, "no"), (1, "yes")),
        ),
        Panel(
            "Releases, 1 d",
            "Published, gone back to, or new with an upgrade; by the control planes themselves, not by commands.",
            [Query("sum by (layer, origin) (increase(ztfm_policy_releases_total[1d])) > 0", "{{layer}} {{origin}}")],
            width=6,
        ),
        Panel(
            "Bundles that were not taken, 1 h",
            "By reason. Those of an unknown key, or changed on the way, are nobody's slip.",
            [Query("sum by (reason) (increase(ztfm_policy_refused_total[1h])) > 0", "{{reason}}")],
            width=6,
        ),
    ),
    height=6,
)

CAPABILITIES = Row(
    "Capabilities and enrolment",
    (
        Panel(
            "Capabilities issued",
            "By action.",
            [Query("sum by (action) (rate(ztfm_capabilities_issued_total[5m]))", "{{action}}")],
            unit="reqps",
        ),
        Panel(
            "Capabilities and proofs refused",
            "By cause. replayed, proof_replayed, bad_signature and wrong_key are attacks or broken clients.",
            [Query("sum by (cause) (cause:ztfm_capabilities_refused:increase15m) > 0", "{{cause}}")],
        ),
        Panel(
            "Enrolments, 15 min",
            "By outcome.",
            [Query("sum by (outcome) (increase(ztfm_enrolments_total[15m]))", "{{outcome}}")],
        ),
    ),
)

TOKENS = Row(
    "OAuth",
    (
        Panel(
            "Tokens by grant",
            "Capabilities by exchange, and access tokens for this API by client credentials.",
            [Query("sum by (grant) (rate(ztfm_oauth_tokens_total[5m]))", "{{grant}}")],
            unit="reqps",
            width=12,
        ),
        Panel(
            "Introspections",
            "What enforcement points were told of tokens. Inactive ones rise with revocations, as they should.",
            [Query("sum by (result) (rate(ztfm_introspections_total[5m]))", "{{result}}")],
            unit="reqps",
            width=12,
        ),
    ),
    height=6,
)

KEYS = Row(
    "Signing keys",
    (
        Panel(
            "Age of the key that signs",
            "It falls to nothing when the next key takes over, which is due at the schedule.",
            [
                Query("max(ztfm_signing_key_age_seconds)", "age"),
                Query("max(ztfm_signing_key_schedule_seconds)", "schedule"),
            ],
            unit="s",
            width=12,
        ),
        Panel(
            "Signing keys by state",
            "One signs. One that is published waits for its turn; retired ones verify what they signed.",
            [Query("max by (state) (ztfm_signing_keys)", "{{state}}")],
            width=12,
        ),
    ),
    height=6,
)

REVOCATION = Row(
    "Revocation",
    (
        Panel(
            "Made void before its time, 1 h",
            "Single capabilities, all that a subject held, and signing keys.",
            [Query("sum by (kind) (increase(ztfm_revocations_total[1h]))", "{{kind}}")],
        ),
        Panel(
            "Security events, 1 h",
            "What was pushed, by CAEP's type.",
            [Query("sum by (type) (increase(ztfm_security_events_total[1h]))", "{{type}}")],
        ),
        Panel(
            "Who follows the events",
            "Each enforcement point has one stream. Those that are cut off were too slow, and resume.",
            [
                Query("sum(ztfm_event_listeners)", "listening"),
                Query("sum(increase(ztfm_event_listeners_dropped_total[15m]))", "cut off, 15 min"),
            ],
        ),
    ),
    height=6,
)

UPDATES = Row(
    "Rounds and updates",
    (
        Panel(
            "Updates judged, 15 min",
            "By verdict, with the rounds that were opened.",
            [
                Query("sum by (verdict) (increase(ztfm_updates_total[15m]))", "{{verdict}}"),
                Query("sum(increase(ztfm_rounds_opened_total[15m]))", "rounds opened"),
            ],
            width=6,
        ),
        Panel(
            "Trust after each observation",
            "Below 0.7 a subject is watched, below 0.25 it is granted next to nothing (limits are policy data).",
            buckets("ztfm_trust_score"),
            kind="heatmap",
            width=5,
        ),
        Panel(
            "Cosine to the reference",
            "Below 0 an update points away from what trusted data or the cohort yields.",
            buckets("ztfm_update_cosine"),
            kind="heatmap",
            width=5,
        ),
        Panel(
            "Norm over the cohort's median",
            "Far above 1 an update is boosted.",
            buckets("ztfm_update_norm_ratio"),
            kind="heatmap",
            width=4,
        ),
        Panel(
            "Quarantined, 30 min",
            "Subjects set apart, by segment.",
            [Query("sum by (segment) (segment:ztfm_quarantines:increase30m)", "{{segment}}")],
            kind="bargauge",
            width=4,
            steps=((None, "green"), (1.0, "orange"), (10.0, "red")),
        ),
    ),
)

BEHAVIOUR = Row(
    "Behaviour",
    (
        Panel(
            "Subjects, by where they stand",
            "Recovering ones are on probation: they take part, and nothing of theirs enters a model.",
            [Query("max by (state) (ztfm_behaviour_subjects)", "{{state}}")],
            width=5,
        ),
        Panel(
            "Changes, 1 h",
            "Into quarantine and out of it, to full trust and back.",
            [
                Query(
                    "sum by (from_state, to_state) (increase(ztfm_behaviour_transitions_total[1h])) > 0",
                    "{{from_state}} to {{to_state}}",
                )
            ],
            width=5,
        ),
        Panel(
            "Evidence against a subject",
            "Of a subject like its peers, 1 in the mean. At 50 it is quarantined (1/alpha, policy data).",
            buckets("ztfm_behaviour_e_value"),
            kind="heatmap",
            width=4,
        ),
        Panel(
            "p-values of updates",
            "Share of comparable peers' updates that deviate as much. At 0.05 or below an update is kept out.",
            buckets("ztfm_update_p_value"),
            kind="heatmap",
            width=4,
        ),
        Panel(
            "Likely attacks, 1 h",
            "What remarkable observations look like; an honest device has one now and then.",
            [Query("sum by (attack) (increase(ztfm_behaviour_attributions_total[1h])) > 0", "{{attack}}")],
            width=4,
        ),
        Panel(
            "Policy did not say how to judge, 5 min",
            "Reports of updates are answered with 503 while it does not.",
            [Query("sum(increase(ztfm_behaviour_terms_failures_total[5m]))")],
            kind="stat",
            width=2,
            steps=BAD_FROM_ONE,
        ),
    ),
)

WATCHED = Row(
    "Requests and inferences, watched",
    (
        Panel(
            "Requests taken note of",
            "Decided requests of devices. Dropped ones found no room: judged is what was folded.",
            [Query("sum by (result) (rate(ztfm_requests_watched_total[5m]))", "{{result}}")],
            unit="reqps",
            width=6,
        ),
        Panel(
            "Windows, 15 min",
            "A window of a subject's requests, or one that a gateway reported. Lost ones met a fault; passed over are "
            "reports that do not count.",
            [
                Query(
                    "sum by (channel, result) (increase(ztfm_behaviour_windows_total[15m])) > 0",
                    "{{channel}} {{result}}",
                )
            ],
            width=6,
        ),
        Panel(
            "Deviation",
            "Share of windows that deviate from peers' and from the subject's own at all.",
            [
                Query(
                    '1 - sum by (channel) (rate(ztfm_behaviour_score_bucket{le="0.0"}[15m])) '
                    "/ sum by (channel) (rate(ztfm_behaviour_score_count[15m]))",
                    "{{channel}}",
                )
            ],
            unit="percentunit",
            width=6,
        ),
        Panel(
            "Flagged queries, 15 min",
            "What gateways found in queries: wordings of prompt injection, and what looks like a credential.",
            [Query("sum by (flag) (increase(ztfm_inference_flags_total[15m]))", "{{flag}}")],
            width=6,
        ),
    ),
    height=6,
)

ROLLBACKS = Row(
    "Rollbacks",
    (
        Panel(
            "Waiting",
            "Ordered and not done: what they undo is still in the model.",
            [Query("max(ztfm_rollbacks_waiting)")],
            kind="stat",
            width=4,
            steps=((None, "green"), (1.0, "orange")),
        ),
        Panel(
            "For how long the oldest has waited",
            "An order is carried out after the next round of the aggregator that opened its first round.",
            [Query("max(ztfm_rollbacks_waiting_age_seconds)")],
            unit="s",
            width=10,
        ),
        Panel(
            "Rollbacks, 1 h",
            "Ordered, done, and those that failed: at least a part of what they were to undo is still in the model.",
            [Query("sum by (outcome) (increase(ztfm_rollbacks_total[1h]))", "{{outcome}}")],
            width=10,
        ),
    ),
    height=6,
)

SITES = Row(
    "What sites decide by themselves",
    (
        Panel(
            "Sites' decisions, 1 h",
            "By what was asked and what became of it, as far as sites have told. One that is offline tells later.",
            [
                Query(
                    "sum by (action, outcome) (increase(ztfm_site_decisions_total[1h]))",
                    "{{action}} {{outcome}}",
                )
            ],
            width=10,
        ),
        Panel(
            "Vetoes by segment, 1 h",
            "Homes that are closed by day say no all day long: compare with the day before.",
            [Query("sum by (segment) (segment:ztfm_site_vetoes:increase1h)", "{{segment}}")],
            width=10,
        ),
        Panel(
            "Statements not taken, 24 h",
            "Not signed by the device that handed them in, or saying something else than a decision.",
            [Query('sum(increase(ztfm_site_statements_total{result="refused"}[24h]))')],
            kind="stat",
            width=4,
            steps=((None, "green"), (1.0, "orange")),
        ),
    ),
    height=6,
)

ADAPTERS = Row(
    "Rounds, as aggregators see them",
    (
        Panel(
            "Rounds, 1 h",
            "Opened, and gated: every update was ruled on. Empty where no aggregator's metrics are scraped.",
            [Query("sum by (model, stage) (increase(ztfm_adapter_rounds_total[1h]))", "{{model}} {{stage}}")],
            width=6,
        ),
        Panel(
            "Members of the last round",
            "Who might take part, was given the weights, sent an update, had it accepted.",
            [Query("sum by (audience, stage) (ztfm_adapter_last_round_members)", "{{audience}} {{stage}}")],
            width=6,
        ),
        Panel(
            "Left out, 1 h",
            "By where in a round and why; absent, failed and declined are known to the aggregator alone.",
            [Query("sum by (point, cause) (increase(ztfm_adapter_drops_total[1h])) > 0", "{{point}} {{cause}}")],
            width=8,
        ),
        Panel(
            "Kept for rollbacks",
            "What the updates of earlier rounds take on the aggregator's disk.",
            [Query("sum by (audience) (ztfm_adapter_archive_size_bytes)", "{{audience}}")],
            unit="bytes",
            width=4,
        ),
    ),
    height=6,
)

ACCESS = Row(
    "Access",
    (
        Panel(
            "Who asks",
            "By what callers show: proofs, tokens, certificates, people. Refused: strangers, or broken clients.",
            [
                Query(
                    "sum by (method, outcome) (rate(ztfm_authentications_total[5m])) > 0",
                    "{{method}} {{outcome}}",
                )
            ],
            unit="reqps",
        ),
        Panel(
            "Administration, 1 h",
            "Enrolment tokens over the API, client certificates, and statuses that were set by hand.",
            [
                Query("sum(increase(ztfm_enrolment_tokens_issued_total[1h]))", "tokens"),
                Query("sum(increase(ztfm_certificates_issued_total[1h]))", "certificates"),
                Query("sum by (status) (increase(ztfm_device_status_changes_total[1h]))", "set to {{status}}"),
            ],
        ),
        Panel(
            "Identity provider, 1 h",
            "Looks for the keys of people's provider. When all fail for an hour, no person is let in.",
            [Query("sum by (result) (increase(ztfm_identity_provider_fetches_total[1h]))", "{{result}}")],
        ),
    ),
    height=6,
)

EDGE = Row(
    "Audit and edge",
    (
        Panel(
            "Records per second",
            "Every decision is on record before it is given out.",
            [Query("sum by (result) (rate(ztfm_audit_records_total[5m]))", "{{result}}")],
            unit="reqps",
            width=5,
        ),
        Panel(
            "Records per commit",
            "Grows with load: what arrives during a commit goes into the next one.",
            buckets("ztfm_audit_group_size"),
            kind="heatmap",
            width=5,
        ),
        Panel(
            "Kept out of the log, 1 h",
            "Values that policy masks in records, by action. Refusals to say what to mask hide all that callers add.",
            [
                Query("sum by (action) (increase(ztfm_decision_log_masked_total[1h])) > 0", "{{action}}"),
                Query("sum(increase(ztfm_decision_log_terms_failures_total[1h]))", "policy did not say"),
            ],
            width=4,
        ),
        Panel(
            "HTTP responses",
            "By route and status. 403 is policy's word, 401 an unknown caller, 503 no decision.",
            [
                Query(
                    "topk(12, sum by (route, status) (rate(ztfm_http_requests_total[5m])) > 0)",
                    "{{status}} {{route}}",
                )
            ],
            unit="reqps",
            width=6,
        ),
        Panel(
            "Requests with an Idempotency-Key",
            "Many replayed: answers get lost on the way. Reused: keys are not unique. Gone: it came too late.",
            [Query("sum by (outcome) (rate(ztfm_idempotent_requests_total[5m]))", "{{outcome}}")],
            unit="reqps",
            width=4,
        ),
    ),
)

SEARCHES = Row(
    "Searches",
    (
        Panel(
            "Pages of searches",
            "By what is searched for. Many of the same come from an enforcement point without a cache.",
            [Query("sum by (kind) (rate(ztfm_search_candidates_count[5m])) > 0", "{{kind}}")],
            unit="reqps",
            width=12,
        ),
        Panel(
            "Candidates that a page asked of",
            "256 at most. Each is a decision, and counts against its caller's rate.",
            quantiles("ztfm_search_candidates", "kind"),
            width=12,
        ),
    ),
)

EXCEPTIONS = Row(
    "Exceptions",
    (
        Panel(
            "Granted",
            "Exceptions that have not ended; those that are signed with the policies are not among them.",
            [Query("max(ztfm_exceptions)")],
            kind="stat",
            width=4,
        ),
        Panel(
            "In use, and end within a day",
            "Used within the last day. What they let through is denied when they end.",
            [Query("max(ztfm_exceptions_ending)")],
            kind="stat",
            width=4,
            steps=((None, "green"), (1.0, "orange")),
        ),
        Panel(
            "Requirements waived",
            "Those without which a decision would have been a denial, by action and requirement.",
            [Query("sum by (action, reason) (rate(ztfm_exceptions_used_total[5m]))", "{{action}} {{reason}}")],
            unit="reqps",
            width=10,
        ),
        Panel(
            "Since they were read",
            "Above 10 s an instance counts none of them: one may have been revoked meanwhile.",
            [Query("ztfm_exceptions_age_seconds", "{{instance}}")],
            unit="s",
            width=6,
        ),
    ),
    height=6,
)

SHADOW = Row(
    "In the shadow",
    (
        Panel(
            "A candidate beside the live policy",
            "What it was shown. Failed: it gave no decision. Dropped: it was not asked, for want of time. Nothing "
            "of it has an effect.",
            [Query("sum by (result) (rate(ztfm_shadow_decisions_total[5m]))", "{{result}}")],
            unit="reqps",
            width=12,
        ),
        Panel(
            "What it would change, 1 h",
            "`ztfm policy shadow report` names actions, reasons, segments and decisions.",
            [Query("sum by (change) (increase(ztfm_shadow_changes_total[1h]))", "{{change}}")],
            width=12,
        ),
    ),
    height=6,
)


def render() -> str:
    """Return the dashboard's JSON as it is kept in the repository."""
    document = dashboard(
        "ztfm-overview",
        "ZTFM: decisions, capabilities, behaviour",
        "What policy decides, why it denies, and what it costs.",
        (
            HEALTH,
            DECISIONS,
            ENGINE,
            POLICIES,
            CAPABILITIES,
            TOKENS,
            KEYS,
            REVOCATION,
            UPDATES,
            BEHAVIOUR,
            ACCESS,
            EDGE,
            SEARCHES,
            EXCEPTIONS,
            WATCHED,
            ROLLBACKS,
            ADAPTERS,
            SITES,
            SHADOW,
        ),
    )
    return json.dumps(document, indent=2) + "\n"


def main() -> int:
    """Write the dashboard, or with ``--check`` return 1 when the file is not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is out of date")
    if parser.parse_args().check:
        is_current = DASHBOARD.is_file() and DASHBOARD.read_text() == render()
        return 0 if is_current else 1
    DASHBOARD.parent.mkdir(parents=True, exist_ok=True)
    DASHBOARD.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
