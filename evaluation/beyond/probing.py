"""Model extraction and membership inference: what answers tell whoever asks, and whether he is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from adapters.errors import Denied
from adapters.member import Member
from adapters.signals import Signals
from evaluation.beyond.asking import asked, proof
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.victim import Victim, Words, trained
from evaluation.beyond.world import GATEWAY, MODEL, Timed, World
from evaluation.demo.serving import Answer, ModelServer, Ticket
from evaluation.smart_home.corpus import Sentence

WINDOW_SECONDS = 60.0
HONEST = 8
USUAL = 4
"""Sentences that an honest device asks in a minute; it says the same few again and again."""


@dataclass(frozen=True)
class _Probed:
    """What a prober has got.

    Attributes:
        answers: by sentence.
        windows: minutes that he went on.
        is_apart: whether he was set apart.
        honest_apart: honest devices that were.
        milliseconds: of a decision on an inference, median.
    """

    answers: Mapping[Sentence, Answer]
    windows: int
    is_apart: bool
    honest_apart: int
    milliseconds: float


def model_extraction(on: World, off: World, sizes: Sizes) -> list[Attempt]:
    """Copy the model by asking, in both worlds, and compare the copies with it."""
    victim = trained(sizes.sentences)
    tested = [sentence.text for sentence in victim.others]
    probed = [_probe(world, victim, sizes) for world in (on, off)]
    agreed = [_agreement(victim, one.answers, tested) for one in probed]
    guarded, open_ = probed
    return [
        Attempt(
            attack="model extraction",
            has="an enrolled newcomer, sentences of his own, and the shape of the model",
            tries=f"asks {sizes.queries} sentences a minute, and trains a copy on the answers",
            protection="labels alone for who is watched; behaviour finds who asks too widely",
            on=Tally(len(tested), agreed[0]),
            off=Tally(len(tested), agreed[1]),
            without="in policy data: full answers to everybody, nobody is set apart",
            decision_ms=guarded.milliseconds,
            noticed=f"behaviour, in minute {guarded.windows}" if guarded.is_apart else "nobody in the time tried",
            figures={
                "answers that he got": float(len(guarded.answers)),
                "the same without": float(len(open_.answers)),
                "agreement by labels alone, with all answers": _share(victim, _bare(open_.answers), tested),
                "honest devices set apart": float(guarded.honest_apart),
            },
        )
    ]


def membership_inference(on: World, off: World, sizes: Sizes) -> list[Attempt]:
    """Tell by its answers what the model was trained on, in both worlds."""
    victim = trained(sizes.sentences)
    most = min(len(victim.members), len(victim.others), sizes.queries)
    asked_of = [*victim.members[:most], *victim.others[:most]]
    found = []
    for world in (on, off):
        server, prober = _server(world, victim), world.enrol("membership-prober", "consumer")
        answers = _answers(world, server, prober, asked_of, Timed())
        found.append([_confidence(victim, sentence, answers[sentence]) for sentence in asked_of])
    told, told_off = (_rightly_told(scores) for scores in found)
    return [
        Attempt(
            attack="membership inference",
            has="an enrolled newcomer, and sentences of which half were trained on",
            tries="takes what the model is sure of, and right in, for what it was trained on",
            protection="labels alone for who is watched",
            on=Tally(len(asked_of) // 2, told),
            off=Tally(len(asked_of) // 2, told_off),
            without="in policy data: full answers to everybody",
            noticed="nobody, at this rate",
            figures={
                "advantage over guessing": _advantage(told, len(asked_of) // 2),
                "the same without": _advantage(told_off, len(asked_of) // 2),
            },
        )
    ]


def _probe(world: World, victim: Victim, sizes: Sizes) -> _Probed:
    server, signals, timed = _server(world, victim), Signals(clock=world.clock), Timed()
    gateway = world.staff("probed-gateway", "gateway")
    prober = world.enrol("prober", "consumer")
    honest = [world.enrol(f"household-{number}", "consumer") for number in range(HONEST)]
    answers: dict[Sentence, Answer] = {}
    for window in range(sizes.windows):
        mine = victim.known[window * sizes.queries : (window + 1) * sizes.queries]
        try:
            answers |= _answers(world, server, prober, mine, timed)
        except Denied:
            return _Probed(answers, window, True, _apart(world, honest), timed.milliseconds)
        for sentence in mine:
            signals.observe(prober.id, MODEL, sentence.text)
        for number, home in enumerate(honest):
            for sentence in victim.known[number * USUAL : (number + 1) * USUAL]:
                signals.observe(home.id, MODEL, sentence.text)
        while signals.fold(64):
            pass
        world.clock.ahead += WINDOW_SECONDS
        gateway.plane.report_signals(signals.due())
    return _Probed(answers, sizes.windows, not asked(prober).allowed, _apart(world, honest), timed.milliseconds)


def _apart(world: World, honest: Sequence[Member]) -> int:
    return sum(not asked(home).allowed for home in honest)


def _server(world: World, victim: Victim) -> ModelServer:
    reader = world.staff(f"server-{len(list((world.folder / 'parties').iterdir()))}", "gateway")
    return ModelServer(
        victim.model,  # type: ignore[arg-type]  # it is asked for logits alone, as the demo's model is
        victim.intents,
        name=MODEL,
        audience=GATEWAY,
        jwks=reader.plane.jwks(),
        issuer=world.url,
        clock=world.clock,
    )


def _answers(
    world: World, server: ModelServer, member: Member, sentences: Sequence[Sentence], timed: Timed
) -> dict[Sentence, Answer]:
    """Ask with one capability, and a proof for each sentence.

    Raises:
        Denied: policy says no.
    """
    token = timed(asked, member).require().access_token
    found = {}
    for sentence in sentences:
        answer = server.answer(sentence.text, Ticket(token, proof(member, world, token)))
        if not isinstance(answer, Answer):
            raise PermissionError(f"the model server refused a capability that was just granted: {answer}")
        found[sentence] = answer
    return found


def _bare(answers: Mapping[Sentence, Answer]) -> dict[Sentence, Answer]:
    return {sentence: Answer(answer.intent, {}) for sentence, answer in answers.items()}


def _agreement(victim: Victim, answers: Mapping[Sentence, Answer], tested: Sequence[str]) -> int:
    """Tested sentences on which a copy that was trained on answers says what the model says."""
    if not answers:
        return 0
    place = {intent: number for number, intent in enumerate(victim.intents)}
    wanted = torch.zeros(len(answers), len(place))
    for row, answer in enumerate(answers.values()):
        # What is not told of the probabilities is spread over all intents.
        told = answer.likelihoods or {answer.intent: 1.0}
        wanted[row] += (1.0 - sum(told.values())) / len(place)
        for intent, likelihood in told.items():
            wanted[row, place[intent]] += likelihood
    copy = Words(len(place))
    copy.learn([sentence.text for sentence in answers], wanted)
    pairs = zip(copy.labels(tested), victim.model.labels(tested), strict=True)
    return sum(ours == theirs for ours, theirs in pairs)


def _share(victim: Victim, answers: Mapping[Sentence, Answer], tested: Sequence[str]) -> float:
    return round(_agreement(victim, answers, tested) / len(tested), 4)


def _confidence(victim: Victim, sentence: Sentence, answer: Answer) -> float:
    """How sure of the right intent an answer is (Yeom et al., arXiv 1709.01604); of a bare label, right or wrong."""
    intent = victim.intents[sentence.label]
    return answer.likelihoods.get(intent, 0.0) if answer.likelihoods else float(answer.intent == intent)


def _rightly_told(scores: Sequence[float]) -> int:
    """Of every second sentence, how many are told rightly, by the bound that tells the other ones best."""
    middle = len(scores) // 2
    labelled = [(score, place < middle) for place, score in enumerate(scores)]
    known, judged = labelled[::2], labelled[1::2]
    bound = max(sorted({score for score, _ in known}), key=lambda one: sum((s >= one) == m for s, m in known))
    return sum((score >= bound) == is_member for score, is_member in judged)


def _advantage(told: int, tried: int) -> float:
    """True positives less false ones, of as many members as others: 0 for guessing, 1 for knowing."""
    return round(2.0 * told / tried - 1.0, 4)
