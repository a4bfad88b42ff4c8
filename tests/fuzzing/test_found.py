"""What fuzzing found: inputs that once made a parser raise what nobody who calls it expects."""

import json
from typing import Any

import pytest

from adapters.wire import read_problem
from controlplane.segmentation.rulesets import NotAsCompiled, read
from tests.fuzzing.targets import target

HUGE = int("9" * 400)
"""A whole number as JSON may have it, and no float."""

TENSOR = {"name": "a", "shape": [1], "datatype": ["FP32"], "data": [1]}


def changed(name: str, **members: Any) -> bytes:
    """The first seed of a parser with other members."""
    return json.dumps({**json.loads(target(name).seeds[0]), **members}).encode()


@pytest.mark.parametrize("role", [{"name": "f"}, ["user"]], ids=["object", "list"])
def test_who_says_a_message_is_a_word(role: Any) -> None:
    assert not target("chat").try_one(changed("chat", messages=[{"role": role, "content": "hi"}]))


def test_a_tensors_type_is_a_word() -> None:
    assert not target("inference").try_one(changed("inference", inputs=[TENSOR]))


@pytest.mark.parametrize("body", [b'"error"', b'["error"]', b"7", b"null", b"[" * 20_000])
def test_an_answer_that_is_no_object_is_still_an_answer_of_that_status(body: bytes) -> None:
    error = read_problem(503, body)
    assert error.status == 503
    assert error.problem is None


def test_a_capability_that_never_ends_says_nothing_of_its_end() -> None:
    assert not target("shown_capability").try_one(changed("shown_capability", exp=HUGE))


def test_a_trust_bundle_may_be_looked_at_as_seldom_as_it_likes_but_once_a_day() -> None:
    assert target("trust_bundle").try_one(changed("trust_bundle", spiffe_refresh_hint=HUGE))


@pytest.mark.parametrize(("member", "other"), [("closes_at", HUGE), ("size_bytes", float("inf"))])
def test_a_round_ends_at_a_moment_and_is_of_a_size(member: str, other: float) -> None:
    assert target("announcement").try_one(changed("announcement", **{member: 0}))
    assert not target("announcement").try_one(changed("announcement", **{member: other}))


def test_scores_of_any_length_are_compared() -> None:
    scored = [{"label": "on", "score": HUGE}, {"label": "off", "score": 1}]
    assert target("model_answer").try_one(json.dumps({"predictions": scored}).encode())


def test_a_record_of_flowers_may_have_a_name_without_a_value() -> None:
    from flwr.proto.recorddict_pb2 import ConfigRecord

    from tests.fuzzing.federation import stored

    record = ConfigRecord()
    record.items.add(key="round_id")
    assert not target("stored_round").try_one(stored(b"ConfigRecord 0\x00" + record.SerializeToString()))
    assert not target("stored_round").try_one(b"RecordDict 1\x00" + b"[" * 20_000)


def test_the_kernel_counts_no_rule_for_ever() -> None:
    listing = json.loads(target("kernel_rules").seeds[0])
    held = [one["add"]["element"]["elem"] for one in listing["nftables"] if "element" in one.get("add", {})]
    elements = [one["elem"] for elements in held for one in elements if isinstance(one, dict) and "elem" in one]
    assert elements
    elements[0]["timeout"] = HUGE
    with pytest.raises(NotAsCompiled):
        read(listing, 0.0)
