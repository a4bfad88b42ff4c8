from collections import Counter

from evaluation.smart_home.task import DEVICES, Task, load_task


def test_two_devices_flip_signs_and_two_have_a_backdoor(task: Task) -> None:
    assert Counter(attack.name for attack in task.attacks.values()) == {"sign_flip": 2, "backdoor": 2}
    assert task.devices == DEVICES == 20


def test_no_triggered_test_sentence_truly_has_the_target(task: Task) -> None:
    tested = {sentence.text: sentence.label for sentence in task.split.test}
    for sentence in task.triggered_test:
        plain = " ".join(word for word in sentence.text.split() if word != "sesame")
        assert tested[plain] != task.target


def test_hostile_devices_are_honest_when_nobody_attacks(task: Task) -> None:
    for device in task.attacks:
        assert task.training_set(device, attacked=False) == list(task.shards[device])


def test_a_later_process_reads_what_an_earlier_one_computed(task: Task) -> None:
    load_task.cache_clear()
    again = load_task(0, task.trunk._cache)
    assert again is not task
    assert "_lower" not in vars(again.trunk)
    assert list(again.texts()) == list(task.texts())
