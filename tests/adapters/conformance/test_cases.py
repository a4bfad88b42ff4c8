"""The cases, and what clients do in them."""

import re
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.conformance import Trained, presenting, spoiling, training
from adapters.conformance.cases import CASES, named
from adapters.conformance.comparing import BEHAVIOURS
from adapters.conformance.script import Script, asked_for, done, release, trainings
from adapters.conformance.scripted import Scripted
from adapters.credentials import Credentials, RoundTerms
from tests.adapters.conformance.table import cases_table, shown


def test_there_are_cases_enough_and_each_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) >= 25
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_each_case_has_a_behaviour_that_exists_and_each_behaviour_a_case() -> None:
    assert presenting is not None
    assert spoiling is not None
    assert {*(case.behaviour for case in CASES), *BEHAVIOURS} - {"honest"} == Scripted._kinds.keys()


def test_who_is_left_out_is_left_out_for_a_reason_and_all_others_are_served() -> None:
    for case in CASES:
        assert bool(case.causes) == (case.enters not in {"always", "later"}), case.name
        assert case.is_served or case.enters == "never", case.name


def test_a_name_that_is_no_case_is_an_error_that_lists_them() -> None:
    with pytest.raises(KeyError, match="sign-flip"):
        named("sign-flop")


def test_a_script_survives_its_file(tmp_path: Path) -> None:
    terms = RoundTerms("r", "smart-home-intents", "sha256:" + "0" * 64, "aggregator-1")
    script = Script(
        "late", 3, tmp_path, 1.5, tmp_path / "victim", terms, Credentials("a", "b", "c"), "revoke", "submitting"
    )
    script.write(tmp_path)
    assert Script.read(tmp_path) == script
    assert Script.read(tmp_path).folder == tmp_path


def test_a_client_has_the_kit_do_something_once_and_waits_for_it(tmp_path: Path) -> None:
    script = Script("honest", 0, tmp_path, 1.0, event="revoke", moment="training")
    script.happen("submitting")
    assert not asked_for(tmp_path, "revoke").exists()
    waiting = threading.Thread(target=script.happen, args=("training",))
    waiting.start()
    deadline = time.monotonic() + 10
    while not asked_for(tmp_path, "revoke").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert waiting.is_alive()
    done(tmp_path, "revoke").touch()
    waiting.join(10)
    assert not waiting.is_alive()
    done(tmp_path, "revoke").unlink()
    script.happen("training")


def test_whoever_hangs_goes_on_when_the_case_is_over(tmp_path: Path) -> None:
    hanging = threading.Thread(target=Script("hanging", 0, tmp_path, 1.0).hang)
    hanging.start()
    hanging.join(0.2)
    assert hanging.is_alive()
    release(tmp_path)
    hanging.join(10)
    assert not hanging.is_alive()


def test_trainings_are_counted_in_the_client_s_folder(tmp_path: Path) -> None:
    script = Script("honest", 0, tmp_path, 1.0, folder=tmp_path)
    assert [script.next_turn(), script.next_turn(), trainings(tmp_path)] == [0, 1, 2]


def test_an_update_as_weights_is_what_was_received_and_the_update() -> None:
    received = {name: tensor + 1.0 for name, tensor in training.initial().items()}
    update: dict[str, object] = dict(training.honest_update(received, 0, 0))
    weights = Trained({**update, "smuggled": torch.ones(3), "head.weight": None}, 20).weights(received)
    bias = weights["encoder.bias"]
    assert isinstance(bias, Tensor)
    added = update["encoder.bias"]
    assert isinstance(added, Tensor)
    assert torch.equal(bias, received["encoder.bias"] + added)
    assert weights["head.weight"] is None
    assert "smuggled" in weights


def test_a_case_without_a_cause_says_so_in_the_table() -> None:
    assert named("keys-rotated").must == "All six go in, in every round."
    assert named("many-examples").must.endswith("It counts 10 times at most.")
    assert "never sees the weights" in named("stale-pull").must


def test_the_document_has_the_cases() -> None:
    assert shown() == cases_table(), "run: python -m tests.adapters.conformance.table"
