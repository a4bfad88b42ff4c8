"""Devices and other identities: who comes in, by what, with which keys, and what was taken back."""

from monitoring.grafana import routers, segments
from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import last_hour

_ENROLMENT = Row(
    "Enrolment and status",
    (
        Panel(
            "Enrolments, 15 min",
            "By what was shown, and outcome. Denied tokens were used, expired or guessed; withdraw the batch if nobody "
            "of yours is behind them.",
            [
                Query(
                    "sum by (evidence, outcome) (increase(ztfm_enrolments_total[15m])) > 0", "{{evidence}} {{outcome}}"
                )
            ],
            "short",
            width=6,
        ),
        Panel(
            "Evidence that did not hold, 15 min",
            "Credentials and certificates of newcomers, by what was wrong. issuer_unresolved: an issuer's keys cannot "
            "be had. bad_signature, wrong_key and untrusted are attacks or mix-ups; the log has each decision.",
            [
                Query(
                    "sum by (evidence, cause) (increase(ztfm_enrolment_evidence_refused_total[15m])) > 0",
                    "{{evidence}} {{cause}}",
                )
            ],
            "short",
            width=6,
        ),
        Panel(
            "Enrolment tokens issued, 1 h",
            "Over the API, by administrators; those of the command are not among them. More than a roll-out needs: "
            "who asked? The log has action token:issue.",
            [Query("sum(increase(ztfm_enrolment_tokens_issued_total[1h]))", "tokens")],
            "short",
            width=6,
        ),
        Panel(
            "Statuses set by hand, 1 h",
            "Devices that people and services set apart, back, or out. Revoked is final; if it was a slip, the device"
            " enrols anew.",
            [last_hour("ztfm_device_status_changes_total", "status")],
            "short",
            width=6,
        ),
    ),
    height=6,
)

_AUTHENTICATION = Row(
    "Who asks",
    (
        Panel(
            "Authentications",
            "By what callers show: proofs, tokens, certificates, people, sessions. Refused ones are strangers or "
            "broken clients; many at once from devices of yours: clocks that are off, or nonces that are not sent "
            "back.",
            [Query("sum by (method, outcome) (rate(ztfm_authentications_total[5m])) > 0", "{{method}} {{outcome}}")],
            "ops",
            width=6,
        ),
        Panel(
            "Capabilities and proofs refused, 15 min",
            "By cause. replayed, proof_replayed, bad_signature and wrong_key are attacks or broken clients: the log "
            "names the address. use_dpop_nonce is how a client begins.",
            [Query("sum by (cause) (cause:ztfm_capabilities_refused:increase15m) > 0", "{{cause}}")],
            "short",
            width=6,
        ),
        Panel(
            "DIDs resolved, 15 min",
            "By method and what came of it. notAllowed: a did:web that ZTFM_DID_WEB_ORGANISATIONS does not name. "
            "internalError: the organisation's server is away or slow, and credentials of it are refused meanwhile.",
            [
                Query(
                    "sum by (method, outcome) (increase(ztfm_did_resolutions_total[15m])) > 0",
                    "{{method}} {{outcome}}",
                )
            ],
            "short",
            width=6,
        ),
        Panel(
            "Sessions of the console, 1 h",
            "Begun, refused by policy, ended by whoever was signed in, and displaced by a newer one of theirs: many of "
            "the last are one key or person on many browsers. Each sign-in is a decision: console:sign_in.",
            [last_hour("ztfm_console_sessions_total", "event")],
            "short",
            width=6,
        ),
    ),
)

_LEDGER = Row(
    "The ledger of identities",
    (
        Panel(
            "Differences from the ledger, 1 d",
            "By finding. Devices that somebody put into the database, gave another key or let back, and records that "
            "nobody may make: the log names each. late and rejected are of what is made here.",
            [Query("sum by (finding) (increase(ztfm_identity_findings_total[1d]))", "{{finding}}")],
            "short",
            width=6,
        ),
        Panel(
            "Done about them, 1 d",
            "Devices that policy set apart or revoked because of a finding. None while there are findings: too many "
            "at once, or data/limits says that nothing is done.",
            [Query("sum by (status) (increase(ztfm_identity_responses_total[1d]))", "{{status}}")],
            "short",
            width=5,
        ),
        Panel(
            "Records read, 1 h",
            "Identities that were registered, got another key, or were revoked, by whichever organisation; and what "
            "was made here and is not final yet, for more than some seconds only where the ledger is behind.",
            [
                Query("sum by (act) (increase(ztfm_identity_records_total[1h]))", "{{act}}"),
                Query("max(ztfm_ledger_outbox)", "not final yet"),
            ],
            "short",
            width=8,
        ),
        Panel(
            "Behind the ledger",
            "Since it was last read to its end. More than minutes: it does not answer, or too few witnesses signed the "
            "log's head.",
            [Query("max(ztfm_ledger_lag_seconds)")],
            "s",
            kind="stat",
            width=5,
        ),
    ),
    height=6,
)

_ATTESTATION = Row(
    "Attestation",
    (
        Panel(
            "Platforms proven",
            "Devices by level, and whether the proof counts now or has lapsed. Lapsed ones do not attest again: are "
            "they off, or refused?",
            [Query("max by (level, state) (ztfm_attested_devices)", "{{level}} {{state}}")],
            "short",
            width=5,
        ),
        Panel(
            "Evidence and challenges, 15 min",
            "What became of it. contradicted: something else runs there than the reference values say, and what was "
            "proven counts no more. Many more challenges than evidence: clients that fail to make any.",
            [
                Query(
                    "sum by (kind, outcome) (increase(ztfm_attestations_total[15m])) > 0",
                    "{{kind}} {{outcome}}",
                ),
                Query("sum(increase(ztfm_attestation_challenges_total[15m]))", "challenges"),
            ],
            "short",
            width=6,
        ),
        Panel(
            "Evidence that did not verify, 15 min",
            "By cause. expired and fault lie here: ztfm attest roots. untrusted and signature are forgeries, or roots "
            "that are missing. unchallenged answers no open challenge.",
            [
                Query(
                    "sum by (kind, cause) (increase(ztfm_attestation_evidence_refused_total[15m])) > 0",
                    "{{kind}} {{cause}}",
                )
            ],
            "short",
            width=5,
        ),
        Panel(
            "Time to verify",
            "The 99th percentile by kind. After five seconds the device is told to come again; above one, a machine "
            "with more cores helps.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (kind, le) (rate(ztfm_attestation_verify_seconds_bucket[5m])))",
                    "{{kind}}",
                )
            ],
            "s",
            width=4,
        ),
        Panel(
            "Age of the oldest proof",
            "Of those that count, by level. Decisions may ask for a younger one: those devices are denied until they "
            "attest again.",
            [Query("max by (level) (ztfm_attestation_oldest_age_seconds)", "{{level}}")],
            "s",
            width=4,
        ),
    ),
    height=6,
)

_SECRETS = Row(
    "Secrets released to platforms",
    (
        Panel(
            "Requests for secrets, 15 min",
            "What became of them. denied: the decision says what is missing, mostly fresh evidence. unsealable: what "
            "the evidence binds is no key. error: the store and the sealing key are not of one backup.",
            [Query("sum by (outcome) (increase(ztfm_secret_releases_total[15m])) > 0", "{{outcome}}")],
            "short",
            width=16,
        ),
        Panel(
            "Secrets registered and withdrawn, 1 d",
            "Who did it is in the log. One that nobody meant to withdraw is registered again from its owner's key.",
            [Query("sum by (change) (increase(ztfm_secret_changes_total[1d]))", "{{change}}")],
            "short",
            width=8,
        ),
    ),
    height=6,
)

_KEYS = Row(
    "Keys and certificates",
    (
        Panel(
            "SPIFFE documents issued, 1 h",
            "An x509 names a workload on TLS connections for a day at most, a jwt to its audience for minutes. None "
            "where workloads speak mutual TLS: they cannot renew.",
            [Query("sum by (kind) (increase(ztfm_svids_issued_total[1h]))", "{{kind}}")],
            "short",
            width=6,
        ),
        Panel(
            "Age of the key that signs",
            "It falls to nothing when the next key takes over, which is due at the schedule. A day above it: is the "
            "store written to, and does ztfm keys list show a next key?",
            [
                Query("max(ztfm_signing_key_age_seconds)", "age"),
                Query("max(ztfm_signing_key_schedule_seconds)", "schedule"),
            ],
            "s",
            width=6,
        ),
        Panel(
            "Signing keys by state",
            "One signs. One that is published waits for its turn; retired ones verify what they signed. None that "
            "signs: nothing can be issued, ztfm keys rotate.",
            [Query("max by (state) (ztfm_signing_keys)", "{{state}}")],
            "short",
            width=6,
        ),
        Panel(
            "Identity provider, 1 h",
            "Looks for the keys of people's provider. When all fail for an hour, no person is let in: is it reachable"
            " from here?",
            [Query("sum by (result) (increase(ztfm_identity_provider_fetches_total[1h]))", "{{result}}")],
            "short",
            width=6,
        ),
    ),
    height=6,
)

_REVOCATION = Row(
    "Revocation",
    (
        Panel(
            "Made void before its time, 1 h",
            "Single capabilities, all that a subject held, and signing keys. A key that nobody meant to withdraw: "
            "ztfm keys list says when, the log says who.",
            [Query("sum by (kind) (increase(ztfm_revocations_total[1h]))", "{{kind}}")],
            "short",
            width=6,
        ),
        Panel(
            "Security events, 1 h",
            "What was pushed to enforcement points, by CAEP's type. Revocations without events reach only those that "
            "poll.",
            [Query("sum by (type) (increase(ztfm_security_events_total[1h]))", "{{type}}")],
            "short",
            width=6,
        ),
        Panel(
            "Who follows the events",
            "Each enforcement point has one stream; fewer than you run: those refuse everything, or poll. Those that "
            "are cut off were too slow, and resume.",
            [
                Query("sum(ztfm_event_listeners)", "listening"),
                Query("sum(increase(ztfm_event_listeners_dropped_total[15m]))", "cut off, 15 min"),
            ],
            "short",
            width=6,
        ),
        Panel(
            "Who follows what changes",
            "Open consoles: each page has one stream, and asks again when it is told of a change. Those that are cut "
            "off were too slow, and come back. Changes are those that somebody was told of.",
            [
                Query("sum(ztfm_change_followers)", "following"),
                Query("sum(increase(ztfm_change_followers_dropped_total[15m]))", "cut off, 15 min"),
                Query("sum by (kind) (rate(ztfm_changes_total[5m]))", "{{kind}} a second"),
            ],
            "short",
            width=6,
        ),
    ),
    height=6,
)

DASHBOARD = Dashboard(
    "ztfm-devices",
    "ZTFM devices and identity",
    "Who comes in, by which credentials, and what was taken back?",
    (_ENROLMENT, _AUTHENTICATION, _ATTESTATION, _SECRETS, _LEDGER, _KEYS, _REVOCATION, segments.ROW, routers.ROW),
)
