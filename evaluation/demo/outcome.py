"""What a run of the demo found out, as values: for the table, the JSON object and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from controlplane.contracts.access import AccessReason
from evaluation.federation.devices import Worth

RUNS = ("clean", "unguarded", "guarded")

Attest = Literal["none", "tpm"]
"""By what homes prove what they run on."""


@dataclass(frozen=True)
class Sighting:
    """One update of the guarded run, as the decision on record shows it.

    Attributes:
        turn: round, from 1.
        device: whose it was.
        accepted: whether it entered the aggregate.
        trust: the device's after this update; none where it was not assessed.
        cosine: to the server's reference.
        norm_ratio: over the cohort's median.
        features: what made it stand out.
        reasons: why it was denied.
        sentence: what the verdict says of it; empty for an unremarkable one.
    """

    turn: int
    device: str
    accepted: bool
    trust: float | None
    cosine: float
    norm_ratio: float
    features: Sequence[str]
    reasons: Sequence[AccessReason]
    sentence: str = ""


@dataclass(frozen=True)
class RoundFigures:
    """One guarded round in numbers.

    Attributes:
        turn: from 1.
        pulled: devices that were let have the model.
        accepted: updates in the aggregate.
        refused: pulls and updates that were left out.
        quarantined: devices that are set apart since this round.
    """

    turn: int
    pulled: int
    accepted: int
    refused: int
    quarantined: Sequence[str]


@dataclass(frozen=True)
class Inference:
    """One question to the tuned model.

    Attributes:
        caller: who asked.
        standing: trusted, watched or quarantined.
        trust: the caller's at that time.
        text: what was asked.
        answered: whether there was an answer.
        intent: the answer; empty where there was none.
        likelihoods: the best few with probabilities, for those who may see them.
        reasons: why there was no answer.
    """

    caller: str
    standing: str
    trust: float
    text: str
    answered: bool
    intent: str = ""
    likelihoods: Mapping[str, float] = field(default_factory=dict)
    reasons: Sequence[AccessReason] = ()


@dataclass(frozen=True)
class Attested:
    """What a home proved of what it runs on.

    Attributes:
        device: its name.
        level: that policy grants; ``none`` where it refuses.
        reference: reference values that it agrees with; empty where it agrees with none.
        wrong: where it was refused, the claims that are not what they should be.
    """

    device: str
    level: str
    reference: str = ""
    wrong: Sequence[str] = ()


@dataclass
class Outcome:
    """Everything that one run of the demo found out.

    Attributes:
        seed: fixes task, attackers and training.
        is_quick: whether it was the smaller run.
        rounds: of each federation.
        devices: how many there are.
        attackers: each hostile device and its attack.
        target: the intent that the backdoor calls.
        trigger: the word that shall call it.
        histories: the global model's worth after each round, by run.
        figures: the guarded run's rounds.
        sightings: the guarded run's updates.
        caught: hostile devices that were quarantined, and in which round.
        wronged: honest devices that were quarantined, and in which round.
        trust: each device's at the end.
        credential_attacks: cause of the refusal by attack; empty for one that passed.
        inferences: what the tuned model was asked.
        decisions: how often each outcome was given, by action.
        refusals: capabilities and proofs that did not hold, by cause, as the control plane counted them.
        attest: by what homes attested.
        attested: what they proved.
        policy_revision: of the policy that decided.
        engine: what evaluated it: ``opa``, or ``embedded`` where none could be had.
        seconds: how long each part took, in order.
    """

    seed: int
    is_quick: bool
    rounds: int
    devices: int
    attackers: Mapping[str, str]
    target: str
    trigger: str
    histories: dict[str, list[Worth]] = field(default_factory=dict)
    figures: list[RoundFigures] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    caught: dict[str, int] = field(default_factory=dict)
    wronged: dict[str, int] = field(default_factory=dict)
    trust: dict[str, float] = field(default_factory=dict)
    credential_attacks: dict[str, str] = field(default_factory=dict)
    inferences: list[Inference] = field(default_factory=list)
    decisions: dict[str, dict[str, int]] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    attest: Attest = "none"
    attested: list[Attested] = field(default_factory=list)
    policy_revision: str = ""
    engine: str = "opa"
    seconds: dict[str, float] = field(default_factory=dict)

    def final(self, run: str) -> Worth:
        """The worth of a run's last global model."""
        return self.histories[run][-1]

    @property
    def proven(self) -> dict[str, int]:
        """How many homes proved each level."""
        levels = [one.level for one in self.attested if one.level != "none"]
        return {level: levels.count(level) for level in sorted(set(levels))}

    @property
    def unproven(self) -> dict[str, list[str]]:
        """Homes whose evidence was refused, each with the claims that are not what they should be."""
        return {one.device: list(one.wrong) for one in self.attested if one.level == "none"}

    def to_json(self) -> dict[str, Any]:
        """The figures as one JSON object."""
        figures = {f"{run}_accuracy": round(self.final(run).accuracy, 4) for run in RUNS}
        figures |= {f"{run}_asr": round(self.final(run).attack_success, 4) for run in RUNS}
        return {
            **figures,
            "attackers": len(self.attackers),
            "attackers_caught": len(self.caught),
            "honest_quarantined": len(self.wronged),
            "decisions": self.decisions,
            "attestation": {"by": self.attest, "proven": self.proven, "refused": self.unproven},
            "policy_revision": self.policy_revision,
            "engine": self.engine,
            "credential_attacks": {name: int(bool(cause)) for name, cause in self.credential_attacks.items()},
            "credentials_refused": self.refusals,
            "inferences": [_inference(one) for one in self.inferences],
            "caught_in_round": self.caught,
            "least_honest_trust": round(min(self._honest_trust(), default=0.0), 4),
            "seed": self.seed,
            "quick": self.is_quick,
            "devices": self.devices,
            "rounds": self.rounds,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }

    def _honest_trust(self) -> list[float]:
        return [trust for device, trust in self.trust.items() if device not in self.attackers]


def _inference(one: Inference) -> dict[str, Any]:
    return {
        **{name: value for name, value in asdict(one).items() if name != "reasons"},
        "trust": round(one.trust, 4),
        "likelihoods": {name: round(value, 4) for name, value in one.likelihoods.items()},
        "reasons": [reason.code for reason in one.reasons],
    }
