"""The answer has the figures that are promised, each of them measured; how large they are, a quiet machine says."""

import sys
from pathlib import Path

import pytest

from benchmarks import confidential_evidence, confidentiality
from benchmarks.confidential_evidence import CASES
from benchmarks.confidentiality import PARTS, Part, PartFailed, measure, median_of, ran

PROMISED = {"key_release_ms", "verify_ms", "secure_sum_seconds", "seal_bytes_per_second"}


def test_every_promised_figure_has_a_part_that_measures_it() -> None:
    assert {figure for part in PARTS.values() for figure in part.figures} == PROMISED


def test_each_kind_of_evidence_is_verified_and_said_where_it_is_from() -> None:
    found = measure({"evidence": PARTS["evidence"]}, ["--runs", "1"])
    assert set(found) == {"verify_ms", "parts", "machine"}
    assert set(found["verify_ms"]) == set(CASES)
    assert {kind.partition("_")[0] for kind in CASES} == {"azure", "eat", "nitro", "nvidia", "sgx", "snp", "tdx", "tpm"}
    assert all(0 < milliseconds < 60_000 for milliseconds in found["verify_ms"].values())
    assert set(found["parts"]["evidence"]["evidence"].values()) <= {"recorded", "made"}
    assert found["machine"]["cpus"] >= 1


def test_without_recorded_evidence_what_is_made_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidential_evidence, "VECTORS", tmp_path)
    found = confidential_evidence.measure(runs=1)
    assert set(found["evidence"].values()) == {"made"}
    assert all(milliseconds > 0 for milliseconds in found["verify_ms"].values())


def test_medians_are_taken_by_kind() -> None:
    assert median_of([3.0, 1.0, 2.0]) == 2.0
    assert median_of([{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]) == {"a": 2.0, "b": 8.0}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit('no TPM')", "ended with 1: no TPM"),
        ("print('nothing')", "printed no figures"),
        ("print('[]')", "prints no figure"),
        ("print('{\"other\": 1}')", "prints no figure"),
        ("", "printed no figures"),
    ],
)
def test_a_part_that_measures_nothing_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "a_part_of_ours.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PartFailed, match=words):
        ran("ours", Part("a_part_of_ours", ("figure",)))


def test_the_command_prints_one_object_and_fails_with_a_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a_part_of_ours.py").write_text('print(\'{"figure": 2.5, "beside": 1}\')')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(confidentiality, "PARTS", {"ours": Part("a_part_of_ours", ("figure",), times=2)})
    monkeypatch.setattr(sys, "argv", ["confidentiality", "--json"])
    confidentiality.main()
    assert capsys.readouterr().out.startswith('{"figure": 2.5, "parts": {"ours": {"beside": 1}}, "machine": {')
    monkeypatch.setattr(confidentiality, "PARTS", {"ours": Part("no_such_module", ("figure",))})
    with pytest.raises(SystemExit, match="ours: no_such_module"):
        confidentiality.main()
