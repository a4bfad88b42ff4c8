"""Carrying out what policy wants of an answer: coarser numbers, none at all, the best label alone, a tag.

It knows the answers of OpenAI-compatible servers, whole and event by event, of KServe v2, and any other JSON by the
names of its members and the values of its numbers. What it cannot tell, it takes for what policy wants taken out.
"""

from dataclasses import replace
from typing import Any

from adapters.gateway.content.labels import label_of, label_of_tensors
from adapters.gateway.content.numbers import Kind, kind_by_values, kind_of, kind_of_scores, rounded
from adapters.gateway.interfaces import Terms

HEADER = "ZTFM-Watermark"
MEMBER = "ztfm_watermark"
"""Where an answer bears its tag: in a header, and in a member of a JSON object."""

_FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16"})
_GONE = object()


class NotCarriedOut(ValueError):  # noqa: N818 - named for what happened
    """An answer has not the form in which it could be done; nothing of it may pass."""


def tags(terms: Terms) -> dict[str, str]:
    """Return the headers that an answer bears."""
    return {} if terms.watermark is None else {HEADER: terms.watermark}


def is_bare(terms: Terms) -> bool:
    """Whether nothing is to be done to an answer's body, beside blacking out."""
    return terms.decimals is None and not terms.suppress and not terms.label_only


def carried_out(terms: Terms, document: Any) -> Any:
    """Return a JSON answer, or one event of a stream of them, as the terms want it; the given one is left alone.

    Texts are not blacked out here (`adapters.gateway.content.redacting`).

    Raises:
        NotCarriedOut: the best label alone is to be shown, and there is nothing that could be it.
    """
    if not is_bare(terms):
        if terms.label_only:
            terms = replace(terms, suppress=frozenset({"logits", "probabilities"}))
        if _is_openai(document):
            document = _openai(terms, document)
        elif _is_kserve(document):
            document = _kserve(terms, document)
        else:
            document = _any(terms, document)
    if terms.watermark is not None and isinstance(document, dict):
        if _is_kserve(document):
            stated = document.get("parameters")
            parameters = {**(stated if isinstance(stated, dict) else {}), MEMBER: terms.watermark}
            return {**document, "parameters": parameters}
        return {**document, MEMBER: terms.watermark}
    return document


def _is_openai(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("choices"), list)


def _is_kserve(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("outputs"), list)


def _openai(terms: Terms, document: dict[str, Any]) -> dict[str, Any]:
    choices = document["choices"]
    if not all(isinstance(choice, dict) for choice in choices):
        raise NotCarriedOut("a choice of the answer is no object")
    if terms.label_only:
        choices = [{**choice, "logprobs": None} for choice in choices if choice.get("index", 0) == 0]
    elif "probabilities" in terms.suppress:
        choices = [{**choice, "logprobs": None} if "logprobs" in choice else choice for choice in choices]
    # Servers add members of their own, with scores in them: those are read by their names.
    return {**_members(terms, {**document, "choices": []}), "choices": [_members(terms, one) for one in choices]}


def _kserve(terms: Terms, document: dict[str, Any]) -> dict[str, Any]:
    outputs = document["outputs"]
    if not all(isinstance(output, dict) for output in outputs):
        raise NotCarriedOut("an output of the answer is no tensor")
    if terms.label_only:
        found = label_of_tensors(outputs)
        if found is None:
            raise NotCarriedOut("no output of the answer has a best label")
        return {**{name: document[name] for name in ("id", "model_name", "model_version") if name in document}, **found}
    kept = [one for output in outputs if (one := _tensor(terms, output)) is not _GONE]
    return {**_members(terms, {**document, "outputs": []}), "outputs": kept}


def _tensor(terms: Terms, output: dict[str, Any]) -> Any:
    about = _members(terms, {name: one for name, one in output.items() if name != "data"})
    if output.get("datatype") not in _FLOATS:
        # A datatype is what the server says: fractions are fractions all the same.
        data = _value(terms, "", output.get("data"))
    elif "data" not in output:
        raise NotCarriedOut("the numbers of an output are not in the document")
    else:
        kind = kind_of(str(output.get("name", ""))) or kind_by_values([output["data"]]) or "logits"
        data = _changed(terms, kind, output["data"])
    if data is _GONE:
        return _GONE
    return {**about, "data": data} if "data" in output else about


def _any(terms: Terms, document: Any) -> Any:
    if terms.label_only:
        found = label_of(document)
        if found is None:
            raise NotCarriedOut("nothing of the answer could be its best label")
        return found
    changed = _value(terms, "", document)
    return None if changed is _GONE else changed


def _members(terms: Terms, document: dict[str, Any]) -> dict[str, Any]:
    changed = {name: _value(terms, name, one) for name, one in document.items()}
    return {name: one for name, one in changed.items() if one is not _GONE}


def _value(terms: Terms, name: str, value: Any) -> Any:
    kind = kind_of(name) if name else None
    if kind is not None and _has_numbers(value):
        return _changed(terms, kind, value)
    if isinstance(value, float):
        return _changed(terms, "probabilities" if 0.0 <= value <= 1.0 else "logits", value)
    if isinstance(value, dict):
        scores = kind_of_scores(value)
        return _members(terms, value) if scores is None else _changed(terms, scores, value)
    if isinstance(value, list):
        unnamed = kind_by_values(value) if not any(isinstance(one, dict | str) for one in value) else None
        if unnamed is not None:
            return _changed(terms, unnamed, value)
        return [one for one in (_value(terms, "", part) for part in value) if one is not _GONE]
    return value


def _changed(terms: Terms, kind: Kind, value: Any) -> Any:
    if kind == "embedding":
        return value
    if ("logits" if kind == "logits" else "probabilities") in terms.suppress:
        return _GONE
    return value if terms.decimals is None else rounded(value, terms.decimals, kind)


def _has_numbers(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_numbers, value.values()))
    if isinstance(value, list):
        return any(map(_has_numbers, value))
    return isinstance(value, int | float) and not isinstance(value, bool)
