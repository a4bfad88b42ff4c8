"""OPA and the control plane itself: calls, queues, the log, HTTP, workers and the process."""

from monitoring.grafana.panels import Dashboard, Panel, Query, Row
from monitoring.grafana.queries import (
    BAD_FROM_ONE,
    GOOD_FROM_ONE,
    ODD_FROM_ONE,
    REACHED,
    YES,
    buckets,
    of_control_planes,
    quantiles,
    total,
)

_STANDING = Row(
    "Can it decide?",
    (
        Panel(
            "Reached, by instance",
            "Whether Prometheus reaches the instance. If not: is the process there, and does Prometheus show the "
            "right token?",
            [Query(f"min by (instance) ({REACHED})", "{{instance}}")],
            "none",
            kind="stat",
            width=6,
            steps=GOOD_FROM_ONE,
            texts=YES,
        ),
        Panel(
            "Ready, by instance",
            "OPA reachable, a policy active, the store usable, a signing key there. If not, /readyz of that instance "
            "names the part.",
            [Query("min by (instance) (ztfm_ready)", "{{instance}}")],
            "none",
            kind="stat",
            width=6,
            steps=GOOD_FROM_ONE,
            texts=((0, "not ready"), (1, "ready")),
        ),
        Panel(
            "Calls to OPA",
            "After five faults in a row calls are suspended, and everything is denied; a trial call every half second"
            " ends that. Suspended for long: OPA's log, its memory, its socket.",
            [Query("max by (instance) (ztfm_opa_circuit_open)", "{{instance}}")],
            "none",
            kind="stat",
            width=6,
            steps=BAD_FROM_ONE,
            texts=((0, "flowing"), (1, "suspended")),
        ),
        Panel(
            "Version",
            "Of each control plane. Two for longer than an upgrade takes: one instance was left behind.",
            [Query("max by (instance, version) (ztfm_build_info)")],
            "none",
            kind="table",
            width=6,
        ),
    ),
    height=5,
)

_OPA = Row(
    "OPA",
    (
        Panel(
            "Latency of calls",
            "A call carries up to 64 decisions. Slow since a policy's mark: ztfm policy explain shows what a decision"
            " costs. Slow without one: the machine is short of processors.",
            quantiles("ztfm_opa_request_duration_seconds"),
            "s",
            width=6,
        ),
        Panel(
            "Calls by result",
            "Anything but ok denied what the call carried. timeout: too slow. unreachable: not there. malformed: "
            "another version.",
            [Query("sum by (result) (rate(ztfm_opa_requests_total[5m])) > 0", "{{result}}")],
            "ops",
            width=6,
        ),
        Panel(
            "Decisions per call",
            "Grows with load: what arrives while a call is under way travels together. At 64 all the time OPA is the "
            "bound: add a machine.",
            buckets("ztfm_opa_batch_size"),
            "short",
            kind="heatmap",
            width=6,
        ),
        Panel(
            "Waiting for OPA",
            "Decisions that wait for a call. A queue that does not empty ends in refusals (503) at ZTFM_QUEUE: fewer "
            "callers, or another machine.",
            [Query("sum by (instance) (ztfm_opa_queue_length)", "{{instance}}")],
            "short",
            width=6,
        ),
    ),
)

_LOG = Row(
    "The decision log",
    (
        Panel(
            "Records per second",
            "Every decision is on record before it is given out. failed were refused for it: look at the database and"
            " its disk.",
            [Query("sum by (result) (rate(ztfm_audit_records_total[5m]))", "{{result}}")],
            "ops",
            width=6,
        ),
        Panel(
            "Records per commit",
            "Grows with load: what arrives during a commit goes into the next one. At 256 all the time the store is "
            "the bound.",
            buckets("ztfm_audit_group_size"),
            "short",
            kind="heatmap",
            width=6,
        ),
        Panel(
            "Waiting for the store",
            "Records that wait for a commit; at 16,384 decisions are refused at once (503). A queue that stays: a "
            "slow disk, or another writer.",
            [Query("sum by (instance) (ztfm_audit_queue_length)", "{{instance}}")],
            "short",
            width=6,
        ),
        Panel(
            "Room for the state",
            "Free bytes where the state folder is. At none, no decision can be recorded, and none is given out.",
            [Query("min by (instance) (ztfm_state_free_bytes)", "{{instance}}")],
            "bytes",
            width=6,
        ),
    ),
)

_HEADS = Row(
    "Signed heads of the log",
    (
        Panel(
            "Entries",
            "Of the log in its latest signed head. If it stands still while decisions are recorded, nothing is signed"
            " any more: the control plane's log says why.",
            [Query("max(ztfm_log_entries)")],
            "short",
            width=5,
        ),
        Panel(
            "Age of the latest head",
            "What was recorded since is not vouched for yet. Older than some minutes: is the process that signs "
            "there, and its key?",
            [Query("time() - max(ztfm_log_checkpoint_timestamp_seconds > 0)")],
            "s",
            kind="stat",
            width=5,
        ),
        Panel(
            "Witnesses that cosigned it",
            "How many others vouch for the latest head, and how many have to for it to be believed. Fewer than "
            "needed: one is away, or saw another log; see beside.",
            [
                Query("min(ztfm_log_cosignatures)", "cosigned"),
                Query("max(ztfm_log_witnesses_needed)", "needed"),
            ],
            "none",
            kind="stat",
            width=4,
        ),
        Panel(
            "Witnesses' answers, 1 h",
            "By witness and answer; empty where no witness is set up. One that refuses a head was shown another "
            "before: keep the database as it is, and find out who changed it.",
            [
                Query(
                    "sum by (witness, result) (increase(ztfm_log_witness_answers_total[1h]))",
                    "{{witness}} {{result}}",
                )
            ],
            "short",
            width=5,
        ),
        Panel(
            "Found rewritten",
            "Times that the log did not begin with what was signed. Once is too often: somebody changed records. Keep"
            " a copy of the database before anything else.",
            [total("ztfm_log_rewritten_total", "1d")],
            "none",
            kind="stat",
            width=5,
            steps=BAD_FROM_ONE,
        ),
    ),
    height=5,
)

_HTTP = Row(
    "HTTP",
    (
        Panel(
            "Responses",
            "By route and status. 403 is policy's word, 401 an unknown caller, 429 a caller that asks too often, 503 "
            "no decision, 500 a fault: the log has it by request id.",
            [
                Query(
                    "topk(12, sum by (route, status) (rate(ztfm_http_requests_total[5m])) > 0)",
                    "{{status}} {{route}}",
                )
            ],
            "reqps",
            width=9,
        ),
        Panel(
            "Latency by route",
            "99th percentile, from the first byte to the last. A route that is slow by itself waits for its caller's "
            "body or for the store.",
            [
                Query(
                    "topk(8, histogram_quantile(0.99, sum by (route, le) "
                    "(rate(ztfm_http_request_duration_seconds_bucket[5m]))) > 0)",
                    "{{route}}",
                )
            ],
            "s",
            width=9,
        ),
        Panel(
            "Requests with an Idempotency-Key",
            "Many replayed: answers get lost on the way. Reused: a client's keys are not unique, tell its owner. "
            "Gone: it came too late.",
            [Query("sum by (outcome) (rate(ztfm_idempotent_requests_total[5m]))", "{{outcome}}")],
            "reqps",
            width=6,
        ),
    ),
)

_PROCESSES = Row(
    "Processes",
    (
        Panel(
            "Restarts, 15 min",
            "OPA processes and workers that ended by themselves and were begun again. Again and again: memory limits,"
            " and the log of the one that ends.",
            [
                Query("sum(increase(ztfm_sidecar_restarts_total[15m])) or vector(0)", "OPA"),
                Query("sum(increase(ztfm_worker_restarts_total[15m])) or vector(0)", "workers"),
            ],
            "none",
            kind="stat",
            width=5,
            steps=ODD_FROM_ONE,
        ),
        Panel(
            "Workers",
            "Processes that serve, by instance; 0 where one process does all. Fewer than ZTFM_WORKERS: some do not "
            "come up.",
            [Query("max by (instance) (ztfm_workers)", "{{instance}}")],
            "none",
            kind="stat",
            width=4,
        ),
        Panel(
            "Processor time",
            "Of the control plane's process, cores. Near the number of cores: more workers help no more, another "
            "machine does.",
            [Query(f"sum by (instance) ({of_control_planes('rate(process_cpu_seconds_total[5m])')})", "{{instance}}")],
            "short",
            width=5,
        ),
        Panel(
            "Memory",
            "Resident, of the control plane's process. A steady climb over days is a leak: restart, and report it "
            "with this graph.",
            [Query(f"max by (instance) ({of_control_planes('process_resident_memory_bytes')})", "{{instance}}")],
            "bytes",
            width=5,
        ),
        Panel(
            "Open files",
            "Share of what the process may open: connections, mostly. Near all of it: raise the limit, or find who "
            "keeps them.",
            [Query(f"max by (instance) ({of_control_planes('process_open_fds / process_max_fds')})", "{{instance}}")],
            "percentunit",
            width=5,
        ),
    ),
    height=6,
)

_SHARED = Row(
    "Limits that replicas share",
    (
        Panel(
            "Questions to the store",
            "What replicas count together (ZTFM_SHARED_LIMITS=store), by what it is about; nothing where each machine "
            "counts for itself. failed was refused (503): look at the database.",
            [
                Query(
                    "sum by (about, outcome) (rate(ztfm_shared_limit_questions_total[5m])) > 0",
                    "{{about}} {{outcome}}",
                )
            ],
            "ops",
            width=12,
        ),
        Panel(
            "Latency of a group of them",
            "Each request waits for one about its proof, which goes with those of others. Slow: the database, or the "
            "way to it.",
            quantiles("ztfm_shared_limit_seconds", "about"),
            "s",
            width=12,
        ),
    ),
)

DASHBOARD = Dashboard(
    "ztfm-health",
    "ZTFM OPA and control plane health",
    "Which part is slow or away: OPA, the log, HTTP, or the process itself?",
    (_STANDING, _OPA, _LOG, _HEADS, _SHARED, _HTTP, _PROCESSES),
)
