"""How subjects behave, and the rounds in which they train."""

from dataclasses import dataclass

from controlplane.contracts.identity import Trust
from controlplane.decisions.judged import Judgements
from controlplane.decisions.recipients import Recipients
from controlplane.decisions.responding import Responder
from controlplane.decisions.rollbacks import RollbackBook
from controlplane.decisions.rounds import RoundBook
from controlplane.decisions.watching import RequestWatch, SignalWatch
from controlplane.storage.behaviour import Behaviour
from controlplane.storage.contributions import Contributions
from controlplane.storage.observations import Observations


@dataclass(frozen=True)
class BehaviourParts:
    """What judges behaviour.

    Attributes:
        newcomer_trust: of whom nothing is known.
        responder: judges, decides where subjects stand, and keeps it.
        requests: has decided requests judged.
        signals: has reported inferences judged.
        subjects: how they stand, as it is kept.
        observations: verdicts on them.
    """

    newcomer_trust: Trust
    responder: Responder
    requests: RequestWatch
    signals: SignalWatch
    subjects: Behaviour
    observations: Observations


@dataclass(frozen=True)
class TrainingParts:
    """What knows rounds, and what went into their models.

    Attributes:
        rounds: that were opened.
        contributions: whose updates went into which round's model.
        rollbacks: orders to rebuild a model without some of them.
        recipients: finds the keys of aggregators that updates are sealed to.
        judgements: says what became of each update.
    """

    rounds: RoundBook
    contributions: Contributions
    rollbacks: RollbackBook
    recipients: Recipients
    judgements: Judgements
