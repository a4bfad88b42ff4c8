"""Carrying out: what is left of answers of OpenAI-compatible servers, of KServe v2, and of any other JSON."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.content import NotCarriedOut, carried_out, tags
from adapters.gateway.content.carrying import HEADER, MEMBER
from adapters.gateway.content.numbers import LEAST_LOG
from adapters.gateway.interfaces import Terms

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1763000000,
    "choices": [
        {
            "index": index,
            "message": {"role": "assistant", "content": "on"},
            "logprobs": {
                "content": [
                    {
                        "token": "on",
                        "logprob": -0.1278,
                        "bytes": [111, 110],
                        "top_logprobs": [
                            {"token": "on", "logprob": -0.1278, "bytes": [111, 110]},
                            {"token": "off", "logprob": -7.5, "bytes": [111]},
                        ],
                    }
                ],
                "refusal": None,
            },
            "finish_reason": "stop",
        }
        for index in range(2)
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
COMPLETION: dict[str, Any] = {
    "object": "text_completion",
    "choices": [
        {
            "index": 0,
            "text": "on",
            "logprobs": {
                "tokens": ["on"],
                "token_logprobs": [-0.1278],
                "top_logprobs": [{"on": -0.1278, "off": -7.5}],
                "text_offset": [0, 9000],
            },
        }
    ],
}
TENSORS: dict[str, Any] = {
    "model_name": "intents",
    "id": "1",
    "outputs": [
        {"name": "logits", "datatype": "FP32", "shape": [2, 3], "data": [2.125, -1.0, 0.5, 0.25, 0.5, 3.0]},
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [2, 3],
            "data": [0.8123, 0.0377, 0.15, 0.06, 0.08, 0.86],
        },
        {"name": "tokens", "datatype": "INT64", "shape": [2], "data": [4, 5]},
    ],
}
EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.123456, -0.5]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


def terms(**wanted: Any) -> Terms:
    return Terms("dec-1", **wanted)


ROUND = terms(decimals=1)
NO_SHARES = terms(suppress=frozenset({"probabilities"}))
NO_SCORES = terms(suppress=frozenset({"logits"}))
NONE_AT_ALL = terms(suppress=frozenset({"logits", "probabilities"}))
LABEL = terms(label_only=True)
EVERY = (ROUND, NO_SHARES, NO_SCORES, NONE_AT_ALL, LABEL)


def logprobs(document: Any) -> list[float]:
    """Return every log-probability in a document."""
    if isinstance(document, dict):
        inner = [one for value in document.values() for one in logprobs(value)]
        own = [value for name, value in document.items() if name == "logprob"]
        return own + inner
    return [one for value in document for one in logprobs(value)] if isinstance(document, list) else []


def numbers(document: Any) -> set[float]:
    if isinstance(document, float):
        return {document}
    parts = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return {one for part in parts for one in numbers(part)}


def test_without_terms_an_answer_is_what_it_was() -> None:
    for document in (CHAT, COMPLETION, TENSORS, EMBEDDINGS, [0.1, 0.9], "text", 1.5, None):
        assert carried_out(terms(), document) == document


@pytest.mark.parametrize("wanted", EVERY)
def test_the_given_answer_is_left_alone(wanted: Terms) -> None:
    for document in (CHAT, COMPLETION, TENSORS):
        kept = copy.deepcopy(document)
        carried_out(wanted, document)
        assert document == kept


def test_log_probabilities_are_rounded_as_shares() -> None:
    found = carried_out(ROUND, CHAT)
    assert logprobs(found) == pytest.approx([math.log(0.9), math.log(0.9), LEAST_LOG] * 2)
    assert found["choices"][0]["logprobs"]["content"][0]["bytes"] == [111, 110]
    assert found["usage"] == CHAT["usage"]
    [choice] = carried_out(ROUND, COMPLETION)["choices"]
    assert choice["logprobs"]["token_logprobs"] == pytest.approx([math.log(0.9)])
    assert choice["logprobs"]["top_logprobs"] == [pytest.approx({"on": math.log(0.9), "off": LEAST_LOG})]
    assert choice["logprobs"]["text_offset"] == [0, 9000]


@pytest.mark.parametrize("document", [CHAT, COMPLETION])
def test_log_probabilities_are_taken_out(document: dict[str, Any]) -> None:
    found = carried_out(NO_SHARES, document)
    assert [choice["logprobs"] for choice in found["choices"]] == [None] * len(document["choices"])
    assert {**found, "choices": []} == {**document, "choices": []}


def test_scores_that_a_server_adds_on_its_own_are_read_by_their_names() -> None:
    more = {**CHAT, "choices": [{**CHAT["choices"][0], "token_scores": [0.25, 0.75], "raw_logits": [[1.5, 2.5]]}]}
    [choice] = carried_out(NONE_AT_ALL, more)["choices"]
    assert choice.keys() == CHAT["choices"][0].keys()


def test_the_best_label_of_a_chat_is_its_first_choice_without_shares() -> None:
    [choice] = carried_out(LABEL, CHAT)["choices"]
    assert (choice["message"], choice["logprobs"]) == (CHAT["choices"][0]["message"], None)


def test_tensors_are_told_by_their_names() -> None:
    def names(wanted: Terms) -> list[str]:
        return [output["name"] for output in carried_out(wanted, TENSORS)["outputs"]]

    assert names(NO_SHARES) == ["logits", "tokens"]
    assert names(NO_SCORES) == ["probabilities", "tokens"]
    assert names(NONE_AT_ALL) == ["tokens"]
    assert carried_out(ROUND, TENSORS)["outputs"][1]["data"] == [0.8, 0.0, 0.1, 0.1, 0.1, 0.9]


@pytest.mark.parametrize(
    ("data", "left_by_shares", "left_by_scores"),
    [
        ([0.25, 0.75], False, True),
        ([[0.25, 0.75], [0.5, 0.5]], False, True),
        ([1.25, -3.5], True, False),
        ([0.5, 0.4], True, False),
        ([21.5], True, False),
    ],
)
def test_tensors_without_a_telling_name_are_told_by_their_values(
    data: list[Any], left_by_shares: bool, left_by_scores: bool
) -> None:
    document = {"outputs": [{"name": "output_0", "datatype": "FP32", "shape": [len(data)], "data": data}]}
    assert bool(carried_out(NO_SHARES, document)["outputs"]) is left_by_shares
    assert bool(carried_out(NO_SCORES, document)["outputs"]) is left_by_scores


def test_numbers_outside_the_document_cannot_be_carried_out() -> None:
    binary = {"outputs": [{"name": "o", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}]}
    for wanted in EVERY:
        with pytest.raises(NotCarriedOut):
            carried_out(wanted, binary)


def test_the_best_label_of_tensors_is_the_place_of_the_highest_score() -> None:
    found = carried_out(LABEL, TENSORS)
    assert found["outputs"] == [{"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 2]}]
    assert found["model_name"] == "intents"
    named = {"outputs": [*TENSORS["outputs"], {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["on"]}]}
    assert [one["name"] for one in carried_out(LABEL, named)["outputs"]] == ["label"]


PLAIN: list[tuple[Any, Any, Any]] = [
    ({"label": "on", "score": 0.8123}, {"label": "on", "score": 0.8}, {"label": "on"}),
    (
        [{"label": "off", "score": 0.1877}, {"label": "on", "score": 0.8123}],
        [{"label": "off", "score": 0.2}, {"label": "on", "score": 0.8}],
        [{"label": "on"}],
    ),
    ({"predictions": [[0.8123, 0.1877]]}, {"predictions": [[0.8, 0.2]]}, {"predictions": [0]}),
    ({"predictions": [[2.1234, 1.5]]}, {"predictions": [[2.1, 1.5]]}, {"predictions": [0]}),
    ({"probabilities": {"on": 0.8123, "off": 0.1877}}, {"probabilities": {"on": 0.8, "off": 0.2}}, {"label": "on"}),
    ([0.1877, 0.8123], [0.2, 0.8], 1),
    ({"on": 0.8123, "off": 0.1877}, {"on": 0.8, "off": 0.2}, {"label": "on"}),
    ({"on": 2.3456, "off": -1.25, "dim": 0.5}, {"on": 2.3, "off": -1.2, "dim": 0.5}, {"label": "on"}),
    ({"answer": "on", "how_sure": 0.8123}, {"answer": "on", "how_sure": 0.8}, {"answer": "on"}),
    (
        {"answer": "on", "why": {"heat": 21.75, "x": "y"}},
        {"answer": "on", "why": {"heat": 21.8, "x": "y"}},
        {"answer": "on"},
    ),
    ({"class": 3, "logits": [1.2345, 2.3456]}, {"class": 3, "logits": [1.2, 2.3]}, {"class": 3}),
]


@pytest.mark.parametrize(("document", "coarse", "label"), PLAIN)
def test_any_other_json_is_read_by_names_and_values(document: Any, coarse: Any, label: Any) -> None:
    assert carried_out(ROUND, document) == coarse
    assert carried_out(LABEL, document) == label
    assert numbers(carried_out(NONE_AT_ALL, document)) == set()


@pytest.mark.parametrize(
    "document", [{}, [], None, {"detail": [1, 2]}, 0.75, True, {"label": 0.75}, {"label": True}, [{"score": 0.5}]]
)
def test_where_nothing_could_be_the_label_nothing_passes(document: Any) -> None:
    with pytest.raises(NotCarriedOut):
        carried_out(LABEL, document)


def test_embeddings_and_whole_numbers_stay() -> None:
    for wanted in (ROUND, NONE_AT_ALL):
        assert carried_out(wanted, EMBEDDINGS) == EMBEDDINGS
        assert carried_out(wanted, {"count": 3, "text": "0.123"}) == {"count": 3, "text": "0.123"}


def test_a_tag_is_in_the_header_and_in_every_object() -> None:
    tagged = terms(watermark="generated;decision=dec-1")
    assert tags(tagged) == {HEADER: "generated;decision=dec-1"}
    assert tags(terms()) == {}
    assert carried_out(tagged, CHAT) == {**CHAT, MEMBER: "generated;decision=dec-1"}
    assert carried_out(tagged, TENSORS)["parameters"] == {MEMBER: "generated;decision=dec-1"}
    assert MEMBER not in carried_out(tagged, TENSORS)
    assert carried_out(tagged, ["a"]) == ["a"]
    assert carried_out(terms(watermark="w", label_only=True), TENSORS)["parameters"] == {MEMBER: "w"}


@pytest.mark.parametrize("document", [{"choices": ["on"]}, {"choices": [None]}, {"outputs": [0.5, 0.5]}])
@pytest.mark.parametrize("wanted", EVERY)
def test_an_answer_of_another_form_than_it_pretends_does_not_pass(document: Any, wanted: Terms) -> None:
    with pytest.raises(NotCarriedOut):
        carried_out(wanted, document)


NAMES = st.sampled_from(
    ["on", "score", "logits", "probabilities", "choices", "outputs", "data", "label", "predictions"]
)
LEAVES = st.none() | st.booleans() | st.integers(0, 9) | st.text("abc", max_size=3) | st.floats(-9.0, 9.0, width=32)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_of_no_answer_whatever_a_fraction_is_left_where_none_may_be(document: Any) -> None:
    for wanted in (NONE_AT_ALL, LABEL):
        try:
            found = carried_out(wanted, document)
        except NotCarriedOut:
            continue
        assert numbers(found) == set()


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_of_no_answer_whatever_a_fraction_keeps_more_digits_than_it_may(document: Any) -> None:
    try:
        found = carried_out(ROUND, document)
    except NotCarriedOut:
        return
    assert all(number == round(number, 1) for number in numbers(found))
