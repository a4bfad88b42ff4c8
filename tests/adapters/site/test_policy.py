"""Which policy decides follows from the site's own folder, and from who signed what lies there."""

import json
import os
import sys
from pathlib import Path

import pytest

from adapters.site.errors import SiteFault
from adapters.site.policy import load
from controlplane.bundles import BundleSigner
from tests.adapters.site.houses import OWNER, built, furnish, house_of, signed
from tests.controlplane.contracts.samples import SITE_SAMPLES

_BATCH = """# METADATA
# entrypoint: true
package site.batch

answers[id] := ANSWER if {
	some questions in input
	some id, _ in questions
	WHEN
}
"""
_LIMITS = """# METADATA
# entrypoint: true
package site.limits

answers[id] := ANSWER if {
	some questions in input
	some id, _ in questions
}
"""


def batch(answer: str, when: str = "true") -> dict[str, str]:
    """Return rules of another batch."""
    return {"batch/batch.rego": _BATCH.replace("ANSWER", answer).replace("WHEN", when)}


FACTS = {name: json.dumps(sample).encode() for name, sample in SITE_SAMPLES.items()}


def code(site: Path) -> str:
    with pytest.raises(SiteFault) as raised:
        load(site).ask("model_in", FACTS["model_in"])
    return raised.value.code


@pytest.fixture
def site(tmp_path: Path, policy: bytes) -> Path:
    return furnish(tmp_path, policy)


def test_a_signed_policy_answers_both_questions_and_sets_limits(site: Path) -> None:
    policy = load(site)
    for name, facts in FACTS.items():
        answered = policy.ask(name, facts)  # type: ignore[arg-type]
        assert set(answered.answer.required) <= set(answered.answer.proven), name
        assert answered.limits.epsilon == 2.0


def test_the_same_bytes_are_compiled_once(site: Path) -> None:
    assert load(site) is load(site)


def test_another_policy_of_the_owner_decides_from_the_next_question_on(site: Path, tmp_path: Path) -> None:
    before = load(site)
    (site / "policy.tar.gz").write_bytes(signed(built(tmp_path, house_of(epsilon_update=1))))
    after = load(site)
    assert (after.revision, after.digest) != (before.revision, before.digest)
    assert after.ask("model_in", FACTS["model_in"]).limits.epsilon == 1.0


def test_no_other_key_signs_for_the_site(site: Path, tmp_path: Path, policy: bytes) -> None:
    load(site)
    stranger = BundleSigner.generate()
    (site / "policy.tar.gz").write_bytes(signed(built(tmp_path, house_of()), stranger))
    assert code(site) == "policy_refused"
    (site / "policy.tar.gz").write_bytes(policy)
    load(site)
    (site / "trust" / "site" / "owner.pem").write_text(stranger.public_pem)
    assert code(site) == "policy_refused", "what was loaded under a key that is trusted no more"


def test_a_key_that_is_trusted_for_the_base_signs_for_no_site(site: Path) -> None:
    (site / "trust" / "base").mkdir()
    (site / "trust" / "site" / "owner.pem").rename(site / "trust" / "base" / "owner.pem")
    assert code(site) == "policy_refused"


@pytest.mark.parametrize("place", [100, 5000, 40_000, -100])
def test_a_changed_policy_decides_nothing(site: Path, place: int) -> None:
    body = bytearray((site / "policy.tar.gz").read_bytes())
    body[place] ^= 1
    (site / "policy.tar.gz").write_bytes(bytes(body))
    assert code(site) == "policy_refused"


def test_a_policy_without_a_module_is_none(site: Path, tmp_path: Path) -> None:
    bundle = built(tmp_path, house_of())
    files = {name: body for name, body in bundle.files.items() if name != "embedded.wasm"}
    (site / "policy.tar.gz").write_bytes(OWNER.sign(files, "site", bundle.revision))
    assert code(site) == "policy_refused"


@pytest.mark.parametrize("missing", ["policy.tar.gz", "trust/site/owner.pem"])
def test_what_is_missing_decides_nothing(site: Path, missing: str) -> None:
    (site / missing).unlink()
    assert code(site) in {"policy_missing", "policy_refused"}


@pytest.mark.parametrize("place", [".", "policy.tar.gz", "trust", "trust/site", "trust/site/owner.pem"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_change_decides_nothing(site: Path, place: str, mode: int) -> None:
    path = site / place
    path.chmod(path.stat().st_mode | mode)
    assert code(site) == "folder_open"


def test_without_an_engine_nothing_is_decided(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (site / "policy.tar.gz").write_bytes(signed(built(tmp_path, house_of(epsilon_update=1.5))))
    monkeypatch.setitem(sys.modules, "controlplane.bundles.embedded", None)
    assert code(site) == "engine_missing"


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_policy_that_cannot_be_read_is_none(site: Path) -> None:
    (site / "policy.tar.gz").chmod(0)
    assert code(site) == "policy_missing"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"required": {"a"}, "proven": {"a"}, "allow": true}', "policy_malformed"),
        ('{"required": set(), "proven": set()}', "policy_malformed"),
        ('{"required": {"a"}, "proven": "a"}', "policy_malformed"),
        ('{"required": {1}, "proven": {1}}', "policy_malformed"),
        ("true", "policy_malformed"),
        ('{"proven": {"a"}}', "policy_malformed"),
    ],
)
def test_an_answer_of_another_form_is_none(tmp_path: Path, answer: str, expected: str) -> None:
    assert code(furnish(tmp_path, signed(built(tmp_path, house_of(), batch(answer))))) == expected


def test_silence_is_no_answer(tmp_path: Path) -> None:
    silent = batch('{"required": {"a"}, "proven": {"a"}}', "id == `1`")
    assert code(furnish(tmp_path, signed(built(tmp_path, house_of(), silent)))) == "policy_silent"


def test_an_undefined_document_is_no_answer(tmp_path: Path) -> None:
    nothing = "# METADATA\n# entrypoint: true\npackage site.batch\n\nanswers := {} if input == 1\n"
    body = signed(built(tmp_path, house_of(), {"batch/batch.rego": nothing}))
    assert code(furnish(tmp_path, body)) == "policy_silent"


@pytest.mark.parametrize("limits", ['{"epsilon": "1"}', '{"epsilon": -1}', '{"max_norms": 1}', "[]", '"no"'])
def test_limits_that_are_none_are_no_leave(tmp_path: Path, limits: str) -> None:
    rules = {"limits/limits.rego": _LIMITS.replace("ANSWER", limits)}
    assert code(furnish(tmp_path, signed(built(tmp_path, house_of(), rules)))) == "policy_malformed"


def test_a_policy_that_takes_too_long_gives_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.site.policy.SECONDS", 0.05)
    many = str(list(range(600)))
    slow = batch(
        '{"required": {"a"}, "proven": {"a"}}',
        f"count([1 | some a in {many}; some b in {many}; some c in {many}; a > b + c]) > 0",
    )
    assert code(furnish(tmp_path, signed(built(tmp_path, house_of(), slow)))) == "policy_late"
