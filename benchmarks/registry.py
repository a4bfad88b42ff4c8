"""Which benchmarks there are: how each is run, which figures it promises, and what it needs.

A figure's bar is what the documents promise. It stands here, and ``docs/performance.md`` is written from here.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

from benchmarks import needs
from benchmarks.described import Benchmark, Figure
from benchmarks.postgres import lacks_postgres

_TORCH = needs.module("torch", "demo")
_DEBIAN = "apt-get install"


def _decisions(name: str, *more: str, figures: tuple[Figure, ...] = (), **environment: str) -> Benchmark:
    usual = (
        Figure("ratio_rps", "requests a second, over raw OPA's"),
        Figure("ratio_p99", "99th percentile, over raw OPA's"),
    )
    return Benchmark(
        name=f"decisions-{name}" if name else "decisions",
        module="benchmarks.decisions",
        figures=figures or usual,
        arguments=more,
        quick=(*more, "--runs", "1", "--requests", "640"),
        environment=MappingProxyType(environment),
        needs=(needs.opa, *((needs.module("opapywasm", "embedded"),) if environment else ())),
        seconds=75.0,
    )


_RATE = (
    Figure("added_p50_ms", "added at 300 requests a second, median, ms", at_most=2.0),
    Figure("added_p99_ms", "added at 300 requests a second, 99th percentile, ms", at_most=10.0),
)
_ROUND = Figure("overhead_ratio", "a guarded round over an unguarded one, one local epoch", at_most=1.05)
_NVFLARE_ROUND = Figure(
    "overhead_ratio", "a guarded round over an unguarded one with NVFLARE, ten local epochs", at_most=1.05
)
_LONG_ROUND = Figure("overhead_ratio", "a guarded round over an unguarded one, ten local epochs", at_most=1.05)

BENCHMARKS: Sequence[Benchmark] = (
    _decisions(""),
    _decisions("rate", "--rate", "300", figures=_RATE),
    _decisions("plain", "--plain"),
    _decisions("guarded", "--guarded"),
    _decisions("proof", "--caller", "proof"),
    _decisions("one-worker", "--workers", "1"),
    _decisions("embedded", ZTFM_ENGINE="embedded"),
    Benchmark(
        "capabilities",
        "benchmarks.capabilities",
        (
            Figure("verify_us", "first presentation of a capability with its proof, microseconds", at_most=250.0),
            Figure("mint_us", "minting a capability, microseconds"),
        ),
        quick=("--runs", "1", "--count", "200"),
        seconds=30.0,
    ),
    Benchmark(
        "embedded",
        "benchmarks.embedded",
        (Figure("ratio", "decisions a second within the process, over those by an OPA"),),
        quick=("--runs", "1", "--questions", "2000"),
        needs=(needs.opa, needs.module("opapywasm", "embedded")),
        seconds=130.0,
    ),
    Benchmark(
        "gateway",
        "benchmarks.gateway",
        (
            Figure("added_p50_ms", "added by a gateway's check, the worst proxy's median, ms", at_most=1.0),
            Figure("added_cpu_us", "processor time that a check adds, the worst proxy's, microseconds"),
        ),
        quick=("--requests", "60", "--load", "200", "--turns", "2"),
        needs=(
            needs.opa,
            *(needs.program(name, f"{_DEBIAN} {name}") for name in ("nginx", "caddy", "haproxy")),
        ),
        seconds=90.0,
    ),
    Benchmark(
        "soak",
        "benchmarks.soak",
        (
            Figure("resident_ratio", "memory after a minute's steady load over before it"),
            Figure("rows_per_request.decisions", "rows in the decision log a request"),
        ),
        quick=("--seconds", "8", "--every", "1", "--rate", "20", "--devices", "40"),
        needs=(needs.opa,),
        seconds=80.0,
    ),
    Benchmark(
        "console",
        "benchmarks.console",
        (
            Figure("load_ms", "the console's first visit until decisions show, ms", at_most=1000.0),
            Figure("open_ms", "to 10,000 devices from there, ms"),
            Figure("frame_p95_ms", "a frame while 100,000 decisions are scrolled, 95th percentile, ms"),
            Figure("compressed_bytes", "brought by the first visit", at_most=300_000.0),
        ),
        quick=("--devices", "200", "--decisions", "1000", "--runs", "1"),
        needs=(needs.opa, needs.module("playwright", "dev"), needs.program("chromium", f"{_DEBIAN} chromium")),
        seconds=60.0,
    ),
    Benchmark(
        "publishing",
        "benchmarks.publishing",
        (Figure("decides_after_seconds.most", "from publishing to deciding, the longest, s", at_most=2.0),),
        quick=("--times", "1"),
        needs=(needs.opa,),
        seconds=80.0,
    ),
    Benchmark(
        "replay",
        "benchmarks.replay",
        (Figure("seconds", "100,000 recorded decisions decided again, s", at_most=60.0),),
        quick=("--decisions", "5000"),
        needs=(needs.opa,),
        seconds=70.0,
    ),
    Benchmark(
        "audit",
        "benchmarks.audit",
        (
            Figure("appends_per_second", "decisions recorded with their entries, a second", at_least=1000.0),
            Figure("proof_ms", "a proof at 1,000,000 entries, ms", at_most=5.0),
        ),
        quick=("--entries", "20000", "--appends", "2000"),
        seconds=60.0,
    ),
    Benchmark(
        "segments",
        "benchmarks.segments",
        (Figure("apply_fastest_seconds", "10,000 grants in force and compared, s", at_most=2.0),),
        quick=("--grants", "500", "--times", "2"),
        needs=(needs.root,),
        seconds=30.0,
    ),
    Benchmark(
        "fleet",
        "benchmarks.fleet",
        (
            Figure("enrolled_per_second", "devices enrolled from a file, a second"),
            Figure("control_plane_cpu_ms", "processor time of an enrolment at the control plane, ms"),
        ),
        quick=("--runs", "1", "--devices", "100"),
        needs=(needs.opa,),
        seconds=60.0,
    ),
    Benchmark(
        "growth",
        "benchmarks.growth",
        (
            Figure("devices.ratio", "a decision at 100,000 devices over one at 10, processor time", at_most=1.25),
            Figure("exceptions.ratio", "a decision at 10,000 exceptions over one at 10, processor time", at_most=1.25),
            Figure("policies.ratio", "a decision at 100 policies over one at 1, processor time", at_most=1.25),
        ),
        quick=("--quick",),
        needs=(needs.opa,),
        seconds=240.0,
    ),
    Benchmark(
        "replicas",
        "benchmarks.replicas",
        (
            Figure("cost_us_1", "shared limits: processor time that a decision costs more, microseconds"),
            Figure("added_p50_ms_1", "shared limits: added at 150 requests a second, median, ms"),
            Figure("store_2.rps", "decisions a second of two replicas that share limits, on this machine together"),
        ),
        quick=("--runs", "1", "--requests", "600", "--seconds", "2"),
        needs=(needs.opa, lacks_postgres),
        seconds=150.0,
    ),
    Benchmark(
        "peers",
        "benchmarks.peers",
        (
            Figure("ours.rps", "decisions a second without minting, beside the peers"),
            Figure("ours_minting.rps", "decisions a second with minting, beside the peers"),
        ),
        quick=("--runs", "1", "--requests", "400"),
        needs=(needs.opa, needs.program("go", "https://go.dev/doc/install")),
        seconds=240.0,
    ),
    Benchmark(
        "confidentiality",
        "benchmarks.confidentiality",
        (
            Figure("key_release_ms", "a key released to a platform that attests itself, ms"),
            Figure("secure_sum_seconds", "a secure sum of 100 clients at its server, s"),
            Figure("seal_bytes_per_second", "weights sealed at rest, bytes a second"),
        ),
        quick=(),
        needs=(needs.opa,),
        seconds=240.0,
    ),
    Benchmark(
        "confidential-keys",
        "benchmarks.confidential_keys",
        (Figure("key_release_ms", "a key released to a platform that attests itself, ms"),),
        quick=("--runs", "2", "--megabytes", "16"),
        needs=(needs.opa,),
        within="confidentiality",
    ),
    Benchmark(
        "confidential-evidence",
        "benchmarks.confidential_evidence",
        (Figure("verify_ms.snp", "verifying a report of AMD SEV-SNP, ms"),),
        quick=("--runs", "2"),
        within="confidentiality",
    ),
    Benchmark(
        "confidential-sums",
        "benchmarks.confidential_sums",
        (Figure("secure_sum_seconds", "a secure sum of 100 clients at its server, s"),),
        quick=("--clients", "10", "--values", "1000"),
        within="confidentiality",
    ),
    Benchmark(
        "screening",
        "benchmarks.screening",
        (Figure("ratio_fastest_peer", "evidence on 100 updates: Multi-Krum's time over ours", at_least=8.0),),
        quick=("--sizes", "20", "--runs", "1"),
        needs=(_TORCH, needs.module("flwr", "demo")),
        seconds=120.0,
    ),
    Benchmark(
        "large",
        "benchmarks.large",
        (Figure("memory_ratio", "the guard's memory over the size of the model", at_most=1.5),),
        quick=("--megabytes", "128"),
        needs=(needs.opa, _TORCH),
        seconds=90.0,
    ),
    Benchmark(
        "rounds",
        "benchmarks.rounds",
        (_ROUND, Figure("processor_ratio", "the same in processor time")),
        quick=("--pairs", "1"),
        needs=(needs.opa, _TORCH, needs.module("flwr", "demo")),
        seconds=120.0,
    ),
    Benchmark(
        "rounds-long",
        "benchmarks.rounds",
        (_LONG_ROUND, Figure("processor_ratio", "the same in processor time")),
        arguments=("--epochs", "10", "--pairs", "5"),
        quick=("--epochs", "2", "--pairs", "1"),
        needs=(needs.opa, _TORCH, needs.module("flwr", "demo")),
        seconds=420.0,
    ),
    Benchmark(
        "rounds-nvflare",
        "benchmarks.rounds",
        (
            Figure(
                "overhead_ratio", "a guarded round over an unguarded one with NVFLARE, ten local epochs", at_most=1.05
            ),
            Figure("processor_ratio", "the same in processor time"),
        ),
        arguments=("--backend", "nvflare", "--epochs", "10", "--pairs", "3"),
        quick=("--backend", "nvflare", "--epochs", "1", "--pairs", "1"),
        needs=(needs.opa, _TORCH, needs.backend("nvflare")),
        seconds=480.0,
    ),
    Benchmark(
        "rollback",
        "benchmarks.rollback",
        (
            Figure("record_s", "a round of 20 updates kept, s"),
            Figure("rebuild_round_s", "a round without one subject's update rebuilt, s"),
        ),
        quick=("--rounds", "2", "--updates", "4", "--parameters", "10000"),
        needs=(_TORCH,),
        seconds=40.0,
    ),
    Benchmark(
        "grouped",
        "benchmarks.grouped",
        (
            Figure("liars_found_share", "liars singled out where sums of groups alone are seen"),
            Figure("honest_set_apart_share", "honest members set apart there"),
        ),
        quick=("--runs", "1", "--rounds", "5"),
        needs=(_TORCH,),
        seconds=120.0,
    ),
    Benchmark(
        "privacy",
        "benchmarks.privacy",
        (Figure("runs.0.accuracy", "accuracy on the demo's task without noise"),),
        needs=(_TORCH, needs.module("dp_accounting", "privacy")),
        seconds=120.0,
    ),
)


CALCULATIONS = ("benchmarks.capacity",)
"""Modules with a command that measures nothing."""


def chosen(picks: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks that are picked, in the registry's order; all that are not parts of others without a pick.

    Args:
        picks: names, or patterns such as ``decisions*``.

    Raises:
        KeyError: there is none of a name; the message lists those that there are.
    """
    if not picks:
        return [one for one in BENCHMARKS if not one.within]
    for pick in picks:
        if not any(fnmatchcase(one.name, pick) for one in BENCHMARKS):
            raise KeyError(f"there is no benchmark {pick!r}; there are {', '.join(one.name for one in BENCHMARKS)}")
    return [one for one in BENCHMARKS if any(fnmatchcase(one.name, pick) for pick in picks)]
