"""The best label alone: what is left of an answer whose scores nobody is to see."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.gateway.content.numbers import best, has_fraction, kind_by_values, kind_of, kind_of_scores

_LABELS = ("label", "class", "prediction", "predicted_class", "predicted_label", "answer", "text", "generated_text")
_TENSOR = ("name", "datatype", "shape", "data")
_FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16"})


def label_of(document: Any) -> Any:
    """Return the best label of a JSON answer of any form, in an answer of its own; none where there is none.

    A label is a text or a whole number under one of the usual names; of several with scores, that with the highest; of
    scores alone, the place of the highest.
    """
    if isinstance(document, list):
        return _of_list(document)
    if not isinstance(document, dict):
        return document if isinstance(document, str) and document else None
    for name in _LABELS:
        value = document.get(name)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return {name: value}
    for name, value in document.items():
        if isinstance(value, list | dict) and (kind_of(name) or name in ("predictions", "outputs", "results")):
            found = _of_scores(value)
            if found is not None:
                return {name: found} if name in ("predictions", "outputs", "results") else {"label": found}
    return None if kind_of_scores(document) is None else {"label": _of_scores(document)}


def label_of_tensors(outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the outputs of a KServe answer less all numbers but labels; none where no label can be told.

    Outputs of whole numbers or texts with a label's name stay; otherwise it is the place of the highest score of the
    first output of scores, along its last axis.
    """
    named = [
        one for one in outputs if str(one.get("name", "")).lower() in _LABELS and not has_fraction([*one.values()])
    ]
    if named:
        return {"outputs": [{name: one[name] for name in _TENSOR if name in one} for one in named]}
    for output in outputs:
        shape, data = output.get("shape"), output.get("data")
        if output.get("datatype") not in _FLOATS or not isinstance(shape, list) or not isinstance(data, list):
            continue
        flat, width = list(_flat(data)), _width(shape)
        if width < 2 or not flat or len(flat) % width:
            continue
        places = [best(flat[at : at + width]) for at in range(0, len(flat), width)]
        return {"outputs": [{"name": "label", "datatype": "INT64", "shape": [len(places)], "data": places}]}
    return None


def _of_list(values: list[Any]) -> Any:
    """Return the label of the highest score, a list of labels, or the places of the highest numbers."""
    if not values:
        return None
    if all(isinstance(one, dict) for one in values):
        scores = [_score(one) for one in values]
        if None not in scores:
            found = label_of(max(zip(scores, values, strict=True), key=lambda pair: pair[0] or 0.0)[1])
            return None if found is None else [found]
    elif not all(isinstance(one, str | list) for one in values):
        return best(values) if kind_by_values(values) is not None else None
    elif kind_by_values(values) is not None:
        return best(values)
    found = [label_of(one) for one in values]
    return None if None in found else found


def _of_scores(value: Any) -> Any:
    """Return the name of the highest of named scores, or what `_of_list` makes of a list."""
    if isinstance(value, list):
        return _of_list(value)
    is_scored = value and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value.values())
    return max(value, key=lambda name: value[name]) if is_scored else None


def _score(one: Mapping[str, Any]) -> float | None:
    for name, value in one.items():
        if kind_of(name) is not None and isinstance(value, int | float) and not isinstance(value, bool):
            # As it is: a whole number of any length is JSON, and no float need hold it.
            return value
    return None


def _width(shape: list[Any]) -> int:
    """Return the length of the last axis; 0 where there is none."""
    return shape[-1] if shape and type(shape[-1]) is int else 0


def _flat(value: Any) -> Any:
    for one in value:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one
