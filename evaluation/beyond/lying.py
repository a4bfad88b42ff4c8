"""An aggregator that lies: what it says of updates that were never sent, of an honest device, and of the model."""

from collections.abc import Sequence
from secrets import token_hex

from adapters.errors import ControlPlaneError
from adapters.guard.rounds import Weights
from adapters.member import Member
from controlplane.contracts.access import Resource, Verification
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.rounds import RoundRequest, UpdateReport, UpdateVerdict
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.updates import zeros
from evaluation.beyond.world import AGGREGATOR, MODEL, World

SLANDER = {"cosine": -0.9, "norm": 4.0, "norm_ratio": 4.0, "sign_agreement": 0.1}
HARMLESS: dict[str, float] = {}
DIGEST = "sha256:" + "d" * 64


def lying_aggregator(world: World, sizes: Sizes) -> list[Attempt]:
    """Let an enrolled aggregator lie about others and about its work."""
    liar = world.staff("liar", "aggregator")
    members = [world.enrol(f"lied-about-{number}", "trainer", "consumer") for number in range(sizes.cohort)]
    play = _Lies(liar, members)
    return [play.invented(sizes), play.twice(sizes), play.slandered(sizes), play.covered(sizes), play.exchanged()]


class _Lies:
    def __init__(self, liar: Member, members: Sequence[Member]) -> None:
        self._liar, self._members = liar, members

    def invented(self, sizes: Sizes) -> Attempt:
        """Report updates of members who sent none."""
        won = 0
        for _ in range(sizes.rounds):
            name = self._opened()
            won += sum(
                verdict.decision for verdict in self._told(name, [(one, None, HARMLESS) for one in self._members])
            )
        return _attempt(
            "reports updates of members who sent none",
            "an update counts with a capability that its device asked for",
            Tally(sizes.rounds * len(self._members), won),
            "the control plane refuses each, on record",
        )

    def twice(self, sizes: Sizes) -> Attempt:
        """Report one submission again."""
        won = 0
        for _ in range(sizes.rounds):
            name = self._opened()
            report = [(one, _token(one, name), HARMLESS) for one in self._members]
            self._told(name, report)
            won += sum(verdict.decision for verdict in self._told(name, report))
        return _attempt(
            "reports each submission twice",
            "a capability to submit is used up by the first report",
            Tally(sizes.rounds * len(self._members), won),
            "the control plane refuses each, by the cause `used`",
        )

    def slandered(self, sizes: Sizes) -> Attempt:
        """Say of an honest device that it attacks."""
        victim, denied, until = self._members[0], 0, None
        for turn in range(1, sizes.rounds + 1):
            verdicts = self._played({victim: SLANDER})
            mine = next((one for one in verdicts if one.subject == victim.id), None)
            denied += mine is None or not mine.decision
            if until is None and mine is not None and mine.quarantined:
                until = turn
        return _attempt(
            "reports evidence of an attack for an honest device",
            "none: evidence is the aggregator's word",
            Tally(sizes.rounds, denied),
            "the device, which can read the decision on the update that it knows; nobody else",
            {} if until is None else {"rounds until the honest device is set apart": float(until)},
        )

    def covered(self, sizes: Sizes) -> Attempt:
        """Say of a hostile device that its updates are as everybody's."""
        accomplice, won = self._members[-1], 0
        for _ in range(sizes.rounds):
            won += sum(one.decision for one in self._played({}) if one.subject == accomplice.id)
        return _attempt(
            "reports a hostile device's updates as everybody's",
            "none, unless the model asks for an attested aggregator (`tee`)",
            Tally(sizes.rounds, won),
            "nobody; whoever keeps the updates can measure them again",
        )

    def exchanged(self) -> Attempt:
        """Hand out other weights than the round was opened for; say so to members, or do not."""
        opened = Weights.of(zeros()).digest
        altered = Weights.of({name: tensor + 1e-6 for name, tensor in zeros().items()}).digest
        name = self._opened(opened)
        # Told the truth, a member compares what it got; told the digest of what it got, it asks for that.
        unseen = len(self._members) if altered == opened else 0
        let_in = sum(_is_let_in(one, name, altered) for one in self._members)
        return _attempt(
            "hands out other weights than the round was opened for, and names either digest to members",
            "members compare the weights with the digest, and may pull the one that the round was opened for alone",
            Tally(2 * len(self._members), unseen + let_in),
            "each member; a model that was wrong before the round was opened is on record, and looks like any other",
        )

    def _played(self, lies: dict[Member, dict[str, float]]) -> list[UpdateVerdict]:
        name = self._opened()
        sent = []
        for one in self._members:
            try:
                sent.append((one, _token(one, name), lies.get(one, HARMLESS)))
            except ControlPlaneError:
                continue
        return self._told(name, sent)

    def _opened(self, digest: str = DIGEST) -> str:
        name = f"round-{token_hex(8)}"
        ids = [one.id for one in self._members]
        self._liar.plane.open_round(
            RoundRequest(id=name, model=MODEL, model_digest=digest, members=ids, duration_seconds=600.0)
        )
        return name

    def _told(self, name: str, sent: Sequence[tuple[Member, str | None, dict[str, float]]]) -> list[UpdateVerdict]:
        reports = [
            UpdateReport(
                subject=member.id,
                capability=token,
                verification=Verification(verified=True),
                evidence=_evidence(number, lies),
            )
            for number, (member, token, lies) in enumerate(sent)
        ]
        return list(self._liar.plane.report_updates(name, reports).verdicts)


def _evidence(number: int, lies: dict[str, float]) -> UpdateEvidence:
    usual = {
        "update_digest": f"sha256:{token_hex(32)}",
        "parameters": 1000,
        "nonfinite": 0,
        "shapes_match": True,
        "norm": 1.0 + number / 1000.0,
        "norm_ratio": 1.0 + number / 1000.0,
        "cosine": 0.8 - number / 1000.0,
        "reference": "root",
        "sign_agreement": 0.7,
        "duplicates": 0,
        "examples": 64,
        "layer_shares": {"head.weight": 1.0},
    }
    return UpdateEvidence.model_validate(usual | lies)


def _token(member: Member, name: str) -> str:
    resource = Resource(type="model", id=MODEL)
    context = CapabilityContext(round_id=name)
    return member.plane.capability("gradient_submission", resource, AGGREGATOR, context).require().access_token


def _is_let_in(member: Member, name: str, digest: str) -> bool:
    resource = Resource.model_validate({"type": "model", "id": MODEL, "properties": {"digest": digest}})
    context = CapabilityContext.model_validate({"round_id": name, "purpose": "training"})
    return member.plane.capability("model_access", resource, AGGREGATOR, context).allowed


def _attempt(tries: str, protection: str, on: Tally, noticed: str, figures: dict[str, float] | None = None) -> Attempt:
    return Attempt(
        attack="lying aggregator",
        has="the key of an enrolled aggregator",
        tries=tries,
        protection=protection,
        on=on,
        off=None,
        without="by design: an aggregator that nobody asks about anything does as it likes",
        noticed=noticed,
        figures=figures or {},
    )
