"""Each parser of foreign bytes takes a few hundred changed inputs without doing what it must not."""

import json
import warnings
from collections.abc import Iterator

import pytest

from controlplane.attestation.interface import EvidenceRefused
from tests.fuzzing.__main__ import main
from tests.fuzzing.aiming import Target
from tests.fuzzing.mutating import Crashed, run
from tests.fuzzing.targets import NAMES, target

INPUTS = 150


@pytest.fixture
def kept_filters() -> Iterator[None]:
    """The command makes warnings into errors, for its process."""
    with warnings.catch_warnings():
        yield


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_accepts_its_seeds_and_survives_what_is_made_of_them(name: str) -> None:
    found = target(name)
    assert found.seeds and all(found.try_one(seed) for seed in found.seeds)
    assert run(found, inputs=INPUTS).tried == INPUTS


def test_a_parser_that_raises_something_else_is_caught_with_its_input() -> None:
    def _careless(data: bytes) -> None:
        if not data:
            raise EvidenceRefused("malformed", "it is empty")
        _ = data[5]

    with pytest.raises(Crashed, match="IndexError") as crashed:
        run(Target(_careless, [b"123456"]), inputs=2000)
    assert 0 < len(crashed.value.data) < 6


@pytest.mark.usefixtures("kept_filters")
def test_the_command_says_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cbor", "--seconds", "0.05", "--plain", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["parser"] == "cbor" and said["tried"] > 0
