from adapters.screening import Manifest, update_digest
from evaluation.smart_home.attacks import Knowledge, Replay
from evaluation.smart_home.training import Update
from tests.evaluation.smart_home.attacks.samples import SHARD, updates

HISTORY = [dict(enumerate(updates(4, seed))) for seed in range(3)]
MANIFEST = Manifest.of(HISTORY[0][0])


def digest(update: Update) -> str:
    return update_digest(update, MANIFEST)


def sent(attack: Replay, device: int, turn: int) -> str:
    return digest(attack.distort(updates(1, 99)[0], Knowledge(device, turn, history=HISTORY[: turn - 1])))


def test_what_is_sent_has_the_digest_of_what_it_sent_before() -> None:
    own = {digest(cohort[2]) for cohort in HISTORY}
    assert {sent(Replay(), 2, turn) for turn in (2, 3, 4)} <= own


def test_what_is_sent_has_the_digest_of_what_another_sent_before() -> None:
    others = {digest(update) for cohort in HISTORY for device, update in cohort.items() if device != 2}
    assert {sent(Replay(of_others=True, seed=seed), 2, 4) for seed in range(20)} <= others


def test_in_a_first_round_there_is_nothing_to_send_again() -> None:
    assert sent(Replay(), 2, 1) == digest(updates(1, 99)[0])
    assert Replay().poison(SHARD) == SHARD


def test_a_device_that_sent_nothing_before_cannot_replay_itself() -> None:
    assert sent(Replay(), 8, 4) == digest(updates(1, 99)[0])


def test_the_seed_fixes_which_is_sent() -> None:
    assert sent(Replay(of_others=True, seed=5), 1, 4) == sent(Replay(of_others=True, seed=5), 1, 4)
