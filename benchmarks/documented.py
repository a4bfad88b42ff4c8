"""Which tables ``docs/performance.md`` has between its markers, and how results become their rows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.registry import BENCHMARKS
from benchmarks.results import Result, at_hand, number_at
from benchmarks.tables import Row, number

Rows = Callable[[Mapping[str, Result]], Sequence[Row]]
"""Turns what is at hand into rows; of what is not there, none."""


def _overview(measured: Mapping[str, Result]) -> list[Row]:
    return tables.overview(measured, [one for one in BENCHMARKS if one.name in measured])


_SETTINGS = {
    "decisions": "two workers (the default here), mutual TLS; open, mutual TLS",
    "decisions-embedded": "two workers without an OPA (`ZTFM_ENGINE=embedded`), mutual TLS; open, mutual TLS",
    "decisions-plain": "two workers, mutual TLS; open, plain TCP (`--plain`)",
    "decisions-guarded": "two workers, mutual TLS; behind a token and `system.authz` (`--guarded`)",
    "decisions-proof": "two workers, a proof in each request (`--caller proof`); open, plain TCP",
    "decisions-one-worker": "one worker (`--workers 1`), mutual TLS; open, mutual TLS",
}


def _decisions(measured: Mapping[str, Result]) -> list[Row]:
    return [_decision(text, measured[name]) for name, text in _SETTINGS.items() if name in measured]


def _decision(text: str, result: Result) -> Row:
    def _middle(figure: str) -> str:
        return " and ".join(number(result.value(f"runs.*.{side}.{figure}")) for side in ("control_plane", "raw_opa"))

    ratios = (f"{result.value(name):.2f}" for name in ("ratio_rps", "ratio_p99"))
    return (text, *ratios, _middle("rps"), _middle("p99_ms"), _middle("cpu_us"))


def _rate(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("decisions-rate")
    if result is None:
        return []
    sides = {"control plane": "control_plane", "raw OPA": "raw_opa", "added": "added"}
    return [
        (text, *(number(result.value(f"{side}_{share}_ms")) for share in ("p50", "p99")))
        for text, side in sides.items()
    ]


CAPABILITIES = {
    "verify_us": "first presentation of a capability with its proof: two ES256 verifications (`verify_us`, bar 250)",
    "verify_p99_us": "its 99th percentile",
    "verify_again_us": "presented again with a new proof, its signature remembered (`verify_again_us`)",
    "verify_again_unremembered_us": "presented again, nothing remembered (`verify_again_unremembered_us`)",
    "mint_us": "minting, one ES256 signature (`mint_us`)",
    "proof_us": "the device's proof (`proof_us`)",
    "jwks_us": "writing a key set of four keys (`jwks_us`)",
    "follow_rotation_us": "taking over another key set at an enforcement point (`follow_rotation_us`)",
    "rotate_us": "working out who signs after a rotation (`rotate_us`)",
}


def _capabilities(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("capabilities")
    return [] if result is None else [(text, number(result.value(name))) for name, text in CAPABILITIES.items()]


_ROUNDS = {
    "rounds": "Flower, the demo's single epoch, 9 pairs",
    "rounds-long": "Flower, `--epochs 10 --pairs 5`",
    "rounds-nvflare": "NVFLARE, `--epochs 10 --pairs 3`",
}
_OF_A_ROUND = ("unguarded_s", "guarded_s", "overhead_ratio", "overhead_seconds", "processor_ratio")


def _rounds(measured: Mapping[str, Result]) -> list[Row]:
    return [
        (text, *(number(measured[name].value(figure)) for figure in _OF_A_ROUND))
        for name, text in _ROUNDS.items()
        if name in measured
    ]


def _screening(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("screening")
    if result is None:
        return []
    paths = (
        "milliseconds.evidence",
        "milliseconds.flower_multi_krum",
        "ratio_fastest_peer",
        "ratio_fastest_peer_with_digests",
    )
    return [
        (size, *(number(result.value(f"sizes.{size}.{path}")) for path in paths)) for size in result.found[0]["sizes"]
    ]


def _large(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("large")
    if result is None:
        return []
    mebibytes = (f"{result.value(name) / 2**20:,.0f} MiB" for name in ("state_bytes", "largest_tensor_bytes"))
    seconds = (number(result.value(name)) for name in ("seal_s", "gate_s"))
    rate = f"{result.value('gate_bytes_per_second') / 1e6:.0f} million"
    return [(", one embedding of ".join(mebibytes), f"{result.value('memory_ratio'):.2f}", *seconds, rate)]


def _peers(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("peers")
    return [] if result is None else [_peer(result, found) for found in result.found[-1]["table"]]


_OF_A_PEER = ("rps", "p50_ms", "p99_ms", "resident_mib", "cpu_us")


def _peer(result: Result, found: Mapping[str, Any]) -> Row:
    if found["status"] != "measured":
        return (found["title"], f"not measured: {found['reason']}", "", "", "", "")
    return (found["title"], *(number(result.value(f"{found['name']}.{figure}")) for figure in _OF_A_PEER))


def _growth(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("growth")
    if result is None:
        return []
    return [
        (
            f"{point['size']:,} {axis}",
            *(number(number_at(point, figure)) for figure in ("p50_ms", "cpu_us", "resident_mib")),
        )
        for axis in ("devices", "exceptions", "policies")
        for point in result.found[-1][axis]["curve"]
    ]


_EVIDENCE = {
    "TPM 2.0: an RSA signature, 24 registers": ("tpm",),
    "EAT as JWT, as CWT (made: none was recorded)": ("eat_jwt", "eat_cwt"),
    "AMD SEV-SNP: a report, a chain of three": ("snp",),
    "Intel SGX, TDX: a quote, its collateral, two lists of revocations": ("sgx", "tdx"),
    "Azure: an SNP report, a quote of the virtual TPM that it vouches for": ("azure",),
    "NVIDIA Hopper: an SPDM report, a chain of five": ("nvidia",),
    "AWS Nitro: a document, a chain of five on P-384": ("nitro",),
}


def _evidence(measured: Mapping[str, Result]) -> list[Row]:
    result = measured.get("confidentiality") or measured.get("confidential-evidence")
    if result is None:
        return []
    return [
        (text, ", ".join(number(result.value(f"verify_ms.{kind}")) for kind in kinds))
        for text, kinds in _EVIDENCE.items()
    ]


TABLES: Mapping[str, tuple[Row, Rows]] = {
    "overview": (("what is promised", "bar", "measured", "met", "command"), _overview),
    "decisions": (
        (
            "control plane; against raw OPA",
            "`ratio_rps`",
            "`ratio_p99`",
            "requests a second, both",
            "99th percentile, both, ms",
            "processor time a request, both, microseconds",
        ),
        _decisions,
    ),
    "rate": (("at 300 requests a second", "median, ms", "99th percentile, ms"), _rate),
    "capabilities": (("", "microseconds"), _capabilities),
    "rounds": (
        (
            "",
            "unguarded round, s",
            "guarded round, s",
            "`overhead_ratio` (bar 1.05)",
            "`overhead_seconds`",
            "`processor_ratio`",
        ),
        _rounds,
    ),
    "screening": (
        ("updates", "evidence, ms", "Multi-Krum, ms", "`ratio_fastest_peer` (bar 8.0)", "with digests"),
        _screening,
    ),
    "large": (("state dict", "`memory_ratio`", "seal, s", "gate of four updates, s", "bytes gated a second"), _large),
    "peers": (
        (
            "",
            "requests a second",
            "median, ms",
            "99th percentile, ms",
            "resident memory, MiB",
            "processor time a request, microseconds",
        ),
        _peers,
    ),
    "growth": (("", "median of a decision, ms", "processor time a decision, microseconds", "resident, MiB"), _growth),
    "evidence": (("", "`verify_ms`"), _evidence),
}
"""Of each pair of markers the table's header and what writes its rows."""


def write(document: Path, folder: Path) -> list[str]:
    """Write the tables of a document from the results in a folder; return the names of those that had any.

    Raises:
        ValueError: the document lacks the markers of a table; nothing is written then.
    """
    measured = at_hand(BENCHMARKS, folder)
    text, written = document.read_text(), []
    for name, (header, rows) in TABLES.items():
        made = rows(measured)
        text = tables.between(text, name, header, made, tables.overview({}) if name == "overview" else ())
        if made:
            written.append(name)
    document.write_text(text)
    return written
