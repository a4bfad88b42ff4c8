"""``/v1/models``: what was signed is registered, served and withdrawn; what was not is handed out to nobody."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.parts import StartFailed
from controlplane.sidecar.folders import product_folder
from controlplane.transparency.modelsignatures import TENSORS_FILE
from tests.clocks import EarlyClock
from tests.modelsigning import STRANGER, bundle, digest_of, public_pem, signed_text, statement, trusting
from tests.support import DIGEST, MODEL, Caller, ControlPlane, running

FILES = {"config.json": b"{}", "model.safetensors": b"weights"}
PATH = f"/v1/models/{MODEL}/versions"


def asking_for_signatures(folder: Path, word: str = "signed") -> Path:
    """Return a folder of policies in which the demo's model asks for a signature by ``example-lab``."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    kept = policies / "data/resources/data.json"
    data = json.loads(kept.read_text())
    data[MODEL] |= {"integrity": word, "signers": {"example-lab": True}}
    data["models"] = data[MODEL]
    kept.write_text(json.dumps(data))
    return policies


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def own(clock: EarlyClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("signed")
    signers = trusting(folder / "signers", example_lab=public_pem(), another_lab=public_pem(STRANGER))
    with running(
        clock=clock, policies=asking_for_signatures(folder, "signed_base"), model_signers_dir=signers
    ) as found:
        yield found


@pytest.fixture(scope="module")
def boss(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture(scope="module")
def consumer(own: ControlPlane) -> Caller:
    return own.enrol("consumer")


Later = Callable[[], None]


@pytest.fixture
def later(clock: EarlyClock) -> Later:
    def step() -> None:
        clock.ahead += 1.5

    return step


def files(tag: str) -> dict[str, bytes]:
    return {**FILES, "tag.txt": tag.encode(), f"{tag}.safetensors": tag.encode()}


def registered(boss: Caller, tag: str, **more: Any) -> Any:
    return boss.post(PATH, {"bundle": signed_text(MODEL, files(tag)), **more}).expect(201)


def served(consumer: Caller, content: bytes) -> Any:
    return consumer.capability("model_access", digest=digest_of(content), purpose="serving")


def codes(reply: Any) -> list[str]:
    return [reason["code"] for reason in reply.expect(403)["reasons"]]


def test_what_was_signed_is_served_from_when_it_is_registered_until_it_is_withdrawn(
    own: ControlPlane, boss: Caller, consumer: Caller, later: Later
) -> None:
    assert codes(served(consumer, b"first")) == ["model_signed"]
    version = registered(boss, "first")
    assert (version["model"], version["signer"], version["state"], version["files"]) == (
        MODEL,
        "example-lab",
        "registered",
        4,
    )
    later()
    assert served(consumer, b"first").expect(201)["expires_in"] > 0
    assert codes(served(consumer, b"First")) == ["model_signed"]
    ended = boss.post(f"{PATH}/{version['id']}/withdraw", {"reason": "It was trained on the wrong data."}).expect(200)
    assert (ended["state"], ended["withdrawn_by"]) == ("withdrawn", boss.id)
    later()
    assert codes(served(consumer, b"first")) == ["model_signed"]
    again = boss.post(PATH, {"bundle": version["bundle"]}).expect(200)
    assert (again["state"], again["withdrawn_why"]) == ("withdrawn", "It was trained on the wrong data.")
    assert boss.post(f"{PATH}/{version['id']}/withdraw", {"reason": "Once more."}).expect(200) == again


def test_a_version_is_listed_shown_and_signed_as_it_was(own: ControlPlane, boss: Caller) -> None:
    version = registered(boss, "shown")
    reader = own.enrol("operator")
    listed = reader.get(f"{PATH}?limit=1").expect(200)["versions"]
    assert [one["id"] for one in listed] == [version["id"]]
    shown = reader.get(f"{PATH}/{version['id']}").expect(200)
    assert shown == version
    assert {one["name"]: one["digest"] for one in shown["contents"]} == {
        n: digest_of(c) for n, c in files("shown").items()
    }
    assert reader.get("/v1/models/sentence-encoder/versions").expect(200) == {"versions": []}
    assert reader.get(f"/v1/models/sentence-encoder/versions/{version['id']}").status == 404
    assert reader.get(f"{PATH}/sha256:00").status == 404
    assert reader.get(f"{PATH}?limit=0").status == 400
    assert reader.get(f"/v1/models/{'m' * 129}/versions").status == 404


@pytest.mark.parametrize("role", ["trainer", "consumer", "operator", "aggregator", "gateway"])
def test_nobody_else_registers_or_withdraws(own: ControlPlane, role: str) -> None:
    other = own.enrol(role)
    assert other.post(PATH, {"bundle": signed_text(MODEL, FILES)}).status == 403
    assert other.post(f"{PATH}/sha256:{'0' * 64}/withdraw", {"reason": "Mine."}).status == 403


def test_a_trainer_does_not_look(own: ControlPlane) -> None:
    other = own.enrol("trainer")
    assert other.get(PATH).status == 403


@pytest.mark.parametrize(
    ("text", "missing", "cause"),
    [
        ("{}", ["signature_verified", "signed_as_model", "signer_granted"], "malformed"),
        (signed_text(MODEL, FILES)[:-9], ["signature_verified", "signed_as_model", "signer_granted"], "malformed"),
        (signed_text("sentence-encoder", FILES), ["signed_as_model"], ""),
        (signed_text(MODEL, FILES, STRANGER), ["signer_granted"], ""),
        (
            json.dumps({**bundle(statement(MODEL, FILES)), "verificationMaterial": {"publicKey": {"hint": "00"}}}),
            ["signature_verified", "signed_as_model", "signer_granted"],
            "untrusted",
        ),
    ],
    ids=["no bundle", "cut off", "another model's", "another model's signer", "a stranger's"],
)  # fmt: skip
def test_what_does_not_hold_is_refused_counted_and_on_record(
    own: ControlPlane, boss: Caller, text: str, missing: list[str], cause: str
) -> None:
    before = own.metric("ztfm_model_signatures_refused_total", cause=cause) if cause else 0.0
    assert sorted(codes(boss.post(PATH, {"bundle": text}))) == missing
    if cause:
        assert own.metric("ztfm_model_signatures_refused_total", cause=cause) == before + 1


def test_a_path_that_names_no_model_registers_what_was_decided_about(own: ControlPlane, boss: Caller) -> None:
    kept = boss.post("/v1/models/~~/versions", {"bundle": signed_text("models", FILES)}).expect(201)
    assert kept["model"] == "models"


def test_a_round_that_began_with_a_signed_version_leads_to_others_that_did(
    own: ControlPlane, boss: Caller, later: Later
) -> None:
    aggregator, trainer = own.enrol("aggregator"), own.enrol("trainer")

    def pull(name: str, digest: str) -> Any:
        document = {
            "id": name,
            "model": MODEL,
            "model_digest": digest,
            "members": [trainer.id],
            "duration_seconds": 600.0,
        }
        aggregator.post("/v1/rounds", document).expect(201)
        later()
        return trainer.capability("model_access", digest=digest, purpose="training", round_id=name)

    assert codes(pull("unsigned-1", DIGEST)) == ["model_signed"]
    tensors = digest_of(b"the tensors")
    told = json.dumps({"digest": tensors, "files": ["model.safetensors"]})
    signed = signed_text(MODEL, {**FILES, TENSORS_FILE: told.encode()})
    version = boss.post(PATH, {"bundle": signed, "tensors": told}).expect(201)
    assert version["tensors"] == tensors
    later()
    pull("signed-1", tensors).expect(201)
    pull("signed-2", digest_of(b"what became of it")).expect(201)
    other = own.enrol("aggregator")
    opened = {
        "id": "other-1",
        "model": MODEL,
        "model_digest": DIGEST,
        "members": [trainer.id],
        "duration_seconds": 600.0,
    }
    other.post("/v1/rounds", opened).expect(201)
    later()
    reply = trainer.capability("model_access", digest=DIGEST, purpose="training", round_id="other-1")
    assert codes(reply) == ["model_signed"]
    assert other.post("/v1/rounds", {**opened, "model_digest": tensors}).status == 409
    later()
    reply = trainer.capability("model_access", digest=DIGEST, purpose="training", round_id="other-1")
    assert codes(reply) == ["model_signed"]
    boss.post(f"{PATH}/{version['id']}/withdraw", {"reason": "Poisoned before it was signed."}).expect(200)
    assert codes(pull("signed-3", digest_of(b"and after that"))) == ["model_signed"]


def test_a_folder_of_signers_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "Lab.pem").write_bytes(public_pem())
    with pytest.raises(StartFailed, match="ZTFM_MODEL_SIGNERS_DIR"), running(model_signers_dir=tmp_path):
        pass
