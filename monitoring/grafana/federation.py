"""The federation: rounds, updates, trust, and what became of those who attack it."""

from monitoring.grafana.aggregators import ROWS
from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import BAD_FROM_ONE, ODD_FROM_ONE, buckets, last_hour, total

_ROUNDS = Row(
    "Rounds and updates",
    (
        Panel(
            "Rounds opened, 1 h",
            "By aggregators. None while a training runs: does the aggregator reach the control plane, and may it open"
            " rounds?",
            [total("ztfm_rounds_opened_total")],
            "none",
            kind="stat",
            width=4,
        ),
        Panel(
            "Updates judged, 15 min",
            "By verdict. Many rejected at once are more often a broken preprocessing than an attack: compare segments"
            " and the pictures below.",
            [Query("sum by (verdict) (increase(ztfm_updates_total[15m]))", "{{verdict}}")],
            "short",
            width=10,
        ),
        Panel(
            "Updates rejected, by segment, 15 min",
            "Where rejected updates come from. One segment alone: a device type or a site that changed, or whoever "
            "holds it.",
            [Query('sum by (segment) (increase(ztfm_updates_total{verdict="rejected"}[15m]))', "{{segment}}")],
            "short",
            width=10,
        ),
    ),
)

_EVIDENCE = Row(
    "What updates look like",
    (
        Panel(
            "Distance from the reference",
            "1 less the cosine: 0 points where trusted data or the cohort points, above 1 points away from it. If "
            "everybody moves up, the reference is stale, not the fleet hostile.",
            buckets("ztfm_update_cosine_distance"),
            "short",
            kind="heatmap",
        ),
        Panel(
            "Norm over the cohort's median",
            "Far above 1 an update is boosted. A second band is a group that trains longer or attacks: see who is "
            "rejected.",
            buckets("ztfm_update_norm_ratio"),
            "short",
            kind="heatmap",
        ),
        Panel(
            "p-values of updates",
            "Share of comparable peers' updates that deviate as much; at 0.05 or below an update is kept out. Honest "
            "ones spread evenly: a heap at the lower end is somebody unlike the rest.",
            buckets("ztfm_update_p_value"),
            "short",
            kind="heatmap",
        ),
    ),
)

_TRUST = Row(
    "Trust",
    (
        Panel(
            "Mean trust, by segment",
            "After each observation. Below 0.7 a subject is watched, below 0.25 it is granted next to nothing (limits"
            " are policy data). A segment that sinks as a whole has changed: ask whoever runs it.",
            [
                Query(
                    "sum by (segment) (rate(ztfm_trust_score_sum[15m])) / "
                    "(sum by (segment) (rate(ztfm_trust_score_count[15m])) > 0)",
                    "{{segment}}",
                )
            ],
            "percentunit",
        ),
        Panel(
            "Trust after each observation",
            "The same of every observation. Two bands that part are honest and hostile devices, as they should; a "
            "band that thins out at the bottom was set apart.",
            buckets("ztfm_trust_score"),
            "percentunit",
            kind="heatmap",
        ),
        Panel(
            "The ten least trusted, by rank",
            "The lowest trust scores of those who may still ask; 1 is the lowest. Metrics never name a device: GET "
            "/v1/behaviour and ztfm devices list do.",
            [Query("sort(min by (rank) (ztfm_least_trust_score))", "{{rank}}")],
            "percentunit",
            kind="bargauge",
            steps=((None, "red"), (0.25, "orange"), (0.7, "green")),
        ),
    ),
)

_STANDING = Row(
    "Who is set apart",
    (
        Panel(
            "Subjects, by where they stand",
            "Recovering ones are on probation: they take part, and nothing of theirs enters a model. If quarantined "
            "ones rise without a likely attack, look at the terms of behaviour.",
            [Query("max by (state) (ztfm_behaviour_subjects)", "{{state}}")],
            "short",
            width=6,
        ),
        Panel(
            "Quarantined, 30 min",
            "Subjects set apart by policy, by segment. ztfm devices why ID says in a sentence what each did; release "
            "whoever it does not fit.",
            [Query("sum by (segment) (segment:ztfm_quarantines:increase30m)", "{{segment}}")],
            "none",
            kind="bargauge",
            width=4,
            steps=((None, "green"), (1.0, "orange"), (10.0, "red")),
        ),
        Panel(
            "Transitions, 1 h",
            "Into quarantine and out of it, to full trust and back. Subjects that go back and forth sit at a limit: "
            "look at what deviates before you change it.",
            [last_hour("ztfm_behaviour_transitions_total", "from_state", "to_state")],
            "short",
            width=7,
        ),
        Panel(
            "Likely attacks, 1 h",
            "What remarkable observations look like; an honest device has one now and then. The same one from many: "
            "tell the sites and consider a rollback.",
            [last_hour("ztfm_behaviour_attributions_total", "attack")],
            "short",
            width=7,
        ),
    ),
)

_JUDGING = Row(
    "How it is judged",
    (
        Panel(
            "Evidence against a subject",
            "Of a subject like its peers, 1 in the mean; at 50 it is quarantined (1/alpha, policy data). A slow climb"
            " of one is an attacker that stays small: look at it before it gets there.",
            buckets("ztfm_behaviour_e_value"),
            "short",
            kind="heatmap",
            width=12,
        ),
        Panel(
            "Policy did not say how to judge, 5 min",
            "Reports of updates are answered with 503 while it does not. Go back to the last policy that did: ztfm "
            "policy rollback.",
            [total("ztfm_behaviour_terms_failures_total", "5m")],
            "none",
            kind="stat",
            width=12,
            steps=BAD_FROM_ONE,
        ),
    ),
    height=6,
)

_ROLLBACKS = Row(
    "Rollbacks",
    (
        Panel(
            "Rollbacks waiting",
            "Ordered and not done: what they undo is still in the model. Is the aggregator running that opened the "
            "first round?",
            [Query("max(ztfm_rollbacks_waiting)")],
            "none",
            kind="stat",
            width=4,
            steps=ODD_FROM_ONE,
        ),
        Panel(
            "For how long the oldest has waited",
            "An order is carried out after the next round of the aggregator that opened its first round. If that is "
            "gone, rebuild by hand: docs/rollback.md.",
            [Query("max(ztfm_rollbacks_waiting_age_seconds)")],
            "s",
            width=10,
        ),
        Panel(
            "Rollbacks, 1 h",
            "Ordered, done, and failed: then at least a part of what was to be undone is still in the model, and the "
            "last good checkpoint is the way back.",
            [Query("sum by (outcome) (increase(ztfm_rollbacks_total[1h]))", "{{outcome}}")],
            "short",
            width=10,
        ),
    ),
    height=6,
)

_MODELS = Row(
    "Signed models",
    (
        Panel(
            "Versions told of, 1 day",
            "Registered, known before, denied by policy, and withdrawn. What is denied was signed by somebody who may "
            "not sign this model, or by nobody: ztfm decisions list --action model:register.",
            [Query("sum by (outcome) (increase(ztfm_model_versions_total[1d]))", "{{outcome}}")],
            "none",
            kind="bargauge",
            width=8,
        ),
        Panel(
            "Signatures that did not hold, 1 h",
            "By cause. An altered manifest is not an accident of the network: look at where it comes from. An unknown "
            "signer may be a new one whose key nobody put into the folder of signers.",
            [last_hour("ztfm_model_signatures_refused_total", "cause")],
            "short",
            width=8,
        ),
        Panel(
            "Pulls denied for want of a signature, 1 h",
            "Somebody asks for weights that no registered version has: an old client after a version was withdrawn, or "
            "weights that nobody signed.",
            [
                Query(
                    'sum(increase(ztfm_decision_reasons_total{action="model_access", reason="model_signed"}[1h]))',
                    "denied",
                )
            ],
            "short",
            width=8,
        ),
    ),
    height=6,
)

_PRIVACY = Row(
    "Privacy budgets",
    (
        Panel(
            "Fullest account",
            "Share of the budget that the fullest account of a data set has spent. At 1 its device, or the aggregator, "
            "is denied until the window moves on: ztfm privacy show.",
            [Query("max by (data_set) (ztfm_privacy_fullest_share)", "{{data_set}}")],
            "percentunit",
            width=6,
        ),
        Panel(
            "Charges, 1 h",
            "Submissions and rounds that were paid for, by model. Each stays paid, whatever became of the update.",
            [last_hour("ztfm_privacy_charges_total", "model")],
            "short",
            width=6,
        ),
        Panel(
            "Charges that left under a tenth, 6 h",
            "By model. When they become many, the model trains more often than its budget bears: ztfm privacy plan.",
            [
                Query(
                    "sum by (model) (increase(ztfm_privacy_spent_share_count[6h])) "
                    '- sum by (model) (increase(ztfm_privacy_spent_share_bucket{le="0.9"}[6h]))',
                    "{{model}}",
                )
            ],
            "short",
            width=6,
        ),
        Panel(
            "Denied for want of budget, 1 h",
            "By model. The decision says when there is room again; devices that ask sooner are denied again. Beside it "
            "costs that were not known, by cause. accountant_missing: install ztfm[privacy]. plans_unknown: policy did "
            "not answer for a moment.",
            [
                last_hour("ztfm_privacy_denials_total", "model"),
                last_hour("ztfm_privacy_unknown_total", "cause"),
            ],
            "short",
            width=6,
        ),
    ),
    height=6,
)

DASHBOARD = Dashboard(
    "ztfm-federation",
    "ZTFM federation and trust",
    "How do rounds go, whom is trust lost in, and what became of attackers?",
    (_ROUNDS, _TRUST, _STANDING, _EVIDENCE, _JUDGING, _ROLLBACKS, _MODELS, _PRIVACY, *ROWS),
)
