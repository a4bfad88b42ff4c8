"""What the bridge and the broker do not take, and what they say to it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage
from safetensors.torch import save, save_file
from torch import Tensor

from adapters.credentials import RoundTerms
from adapters.errors import Conflict, ControlPlaneError, Invalid
from adapters.guard import Member
from adapters.jobs.keeping import JobError
from adapters.jobs.tensorfile import file_digest, read_stored
from adapters.mqtt.client import MqttMember
from adapters.mqtt.envelope import Letter, properties_of, read_letter
from adapters.mqtt.topics import from_topic, job_topic, to_topic
from tests.adapters.conftest import AUDIENCE, update_of
from tests.adapters.mqtt.jobs import QUICK, Kept, RunningJob, running_job
from tests.support import ControlPlane, wait_until

TENSORS = "application/vnd.safetensors"


@dataclass
class Sender:
    """A member of an open round that says whatever a test has it say."""

    job: RunningJob
    member: Member
    client: MqttMember
    terms: RoundTerms
    update: Path

    def fields(self, **changes: str) -> dict[str, str]:
        """Return the user properties of an honest submission, or of one with changes; an empty one is left out."""
        digest = file_digest(self.update, read_stored(self.update))
        fields = {
            "ask": "submit",
            **self.member.submit(self.terms, digest).to_dict(),
            "round": self.terms.round_id,
            "content": hashlib.sha256(self.update.read_bytes()).hexdigest(),
            "examples": "10",
            **changes,
        }
        return {name: value for name, value in fields.items() if value}

    def say(
        self,
        fields: dict[str, str],
        payload: bytes | None = None,
        *,
        kind: str = TENSORS,
        reply_to: str = "",
        qos: int = 1,
    ) -> str:
        """Send something, and return the status of the answer."""
        answers: list[Letter] = []
        correlation = hashlib.sha256(repr((fields, qos, reply_to)).encode()).digest()[:16]

        def arrived(message: MQTTMessage) -> None:
            letter = read_letter(message)
            if letter is not None and letter.correlation == correlation:
                answers.append(letter)

        link = self.client.link
        before, link._on_message = link._on_message, arrived
        try:
            properties = properties_of(fields, content_type=kind, reply_to=reply_to, correlation=correlation)
            body = self.update.read_bytes() if payload is None else payload
            link._client.publish(from_topic(AUDIENCE, self.member.id), body, qos=qos, properties=properties)
            wait_until(lambda: bool(answers), 10)
        finally:
            link._on_message = before
        return answers[0].field("status")


@pytest.fixture
def sender(
    plane: ControlPlane,
    kept: Kept,
    enrol: Callable[..., Member],
    state: dict[str, Tensor],
    tmp_path: Path,
) -> Iterator[Sender]:
    member, other = enrol("trainer"), enrol("trainer")
    bounds = replace(QUICK, least_members=1, round_seconds=30.0)
    update = tmp_path / "update.safetensors"
    save_file(update_of(state, 1), update)
    with (
        running_job(plane, kept, tmp_path / "a", state, [member, other], bounds=bounds) as job,
        kept.member(member) as client,
    ):
        now = client.current()
        client.announce(now.audience)
        while now.terms is None:
            now = client.current(now.version)
        yield Sender(job, member, client, now.terms, update)


def test_each_fault_of_a_message_is_answered_and_counted_and_a_better_one_is_taken(sender: Sender) -> None:
    assert sender.say(sender.fields(ask="")) == "400"
    assert sender.say(sender.fields(ask="dance")) == "400"
    assert sender.say(sender.fields(), qos=0) == "400"
    # Nobody has the bridge publish to another one's topic: the answer comes to the sender's own.
    assert sender.say(sender.fields(), reply_to=to_topic(AUDIENCE, "dev-other")) == "400"
    assert sender.say(sender.fields(), reply_to=job_topic(AUDIENCE)) == "400"
    assert sender.say(sender.fields(round="another")) == "409"
    assert sender.say(sender.fields(capability="", proof="")) == "401"
    assert sender.say(sender.fields(subject="dev-other")) == "403"
    assert sender.say(sender.fields(examples="many")) == "400"
    assert sender.say(sender.fields(), kind="text/plain") == "415"
    assert sender.say(sender.fields(), b"\x00" * 100) == "422"
    assert sender.say(sender.fields(content="", examples="11")) == "422"
    counts = sender.job.counts
    assert counts["malformed"] == 4
    assert counts["refused"] >= 7
    assert sender.say(sender.fields()) == "202"
    assert sender.say(sender.fields()) == "409"


def test_an_update_of_more_bytes_than_the_round_takes_is_answered(sender: Sender, state: dict[str, Tensor]) -> None:
    large = save({**update_of(state, 1), "smuggled": state["weight"].repeat(1000, 1)})
    assert len(large) > 100_000
    fields = sender.fields(content=hashlib.sha256(large).hexdigest())
    assert sender.say(fields, large) == "413"


def test_what_is_larger_than_the_broker_takes_is_not_sent(sender: Sender, tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    save_file({"weight": read_large()}, path)
    with pytest.raises(Invalid, match="the broker takes messages of at most"):
        sender.client.submit(sender.terms, path, 10)
    # Whoever sends it all the same loses the connection, and nobody else does.
    assert sender.client.link.largest_bytes is not None


def read_large() -> Tensor:
    import torch

    return torch.zeros(512, 1024)


def test_a_second_update_is_refused_and_a_renewal_is_for_those_who_sent_one(sender: Sender) -> None:
    digest = file_digest(sender.update, read_stored(sender.update))
    with pytest.raises(Conflict):
        sender.client.renew(sender.terms, digest)
    assert sender.client.submit(sender.terms, sender.update, 10) == digest
    with pytest.raises(Conflict):
        sender.client.submit(sender.terms, sender.update, 10)
    sender.client.renew(sender.terms, digest)


def test_one_that_is_no_member_or_announced_itself_to_nobody_is_given_nothing(
    sender: Sender, kept: Kept, enrol: Callable[..., Member], tmp_path: Path
) -> None:
    assert sender.client._now is not None
    with kept.link(enrol("trainer")) as link:
        number = link.publish(from_topic(AUDIENCE, sender.member.id), b"", properties_of({"ask": "pull"}))
        assert number is not None
        assert link.wait(lambda: link.is_refused(number), 10)
    weights = tmp_path / "weights.safetensors"
    sender.client.pull(sender.terms, weights)
    assert weights.stat().st_size > 0
    sender.job.job._mqtt.identified.clear()  # type: ignore[union-attr]
    with pytest.raises(ControlPlaneError, match="Announce the device first"):
        sender.client.pull(sender.terms, weights)


def test_weights_that_were_altered_on_the_disk_are_sent_to_nobody(sender: Sender, tmp_path: Path) -> None:
    [served] = tmp_path.rglob("served.safetensors")
    kept = served.read_bytes()
    served.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    weights = tmp_path / "weights.safetensors"
    with pytest.raises(ControlPlaneError, match="altered"):
        sender.client.pull(sender.terms, weights)
    assert not weights.exists()
    served.write_bytes(kept)
    sender.client.pull(sender.terms, weights)
    assert weights.read_bytes() == kept


def test_weights_that_no_message_holds_end_the_job_before_it_begins(
    plane: ControlPlane, kept: Kept, enrol: Callable[..., Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    bounds = replace(QUICK, payload_bytes=64)
    with (
        pytest.raises(JobError, match="max_packet_size"),
        running_job(plane, kept, tmp_path / "a", state, [enrol("trainer")], bounds=bounds),
    ):
        pass
