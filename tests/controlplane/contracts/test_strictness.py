"""What holds for every model that crosses a wire."""

import copy
import importlib
import json
import math
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

import controlplane.contracts
from controlplane.contracts.access import OpenModel
from controlplane.contracts.base import LenientModel, StrictModel
from tests.controlplane.contracts.samples import SAMPLES

Path = tuple[str | int, ...]

for _module in pkgutil.iter_modules(controlplane.contracts.__path__):
    importlib.import_module(f"controlplane.contracts.{_module.name}")


def _all_models(root: type[StrictModel] = StrictModel) -> Iterator[type[StrictModel]]:
    for model in root.__subclasses__():
        if model.__module__.startswith("controlplane.contracts."):
            yield model
            yield from _all_models(model)


MODELS = sorted(set(_all_models()), key=lambda model: model.__name__)


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, (*path, index))


def _put(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


# Under these names any JSON may stand: written by the control plane, or a caller's own words, whose bounds have a test
# of their own.
_FREE = {"facts", "claims"}
_FREE_OF = {"AccessResponse": {"context"}, "AccessResponses": {"context"}}


def _places(model: type[StrictModel], sample: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    free = _FREE | _FREE_OF.get(model.__name__, set())
    return ((path, value) for path, value in _walk(sample) if not free & set(path))


def _of_another_type(value: Any) -> list[Any]:
    match value:
        case bool():
            return [0, 1, "true", "", 1.0, [], {}]
        case int():
            return [True, False, "1", str(value), value + 0.5, [value], {}]
        case float():
            return [True, False, "1", str(value), math.nan, math.inf, -math.inf, [value], {}, 10**400]
        case str():
            return [0, True, 1.5, [value], {}, {value: value}]
        case list():
            return [0, True, "x", {}, {"0": value}]
        case _:
            return [0, True, "x", [], [value]]


def _refuses(model: type[StrictModel], document: Any) -> bool:
    """Whether the model refuses a document, as JSON and as objects; the two must agree."""
    refused = []
    for validate, given in ((model.model_validate, document), (model.model_validate_json, json.dumps(document))):
        try:
            validate(given)
        except ValidationError:
            refused.append(True)
        else:
            refused.append(False)
    assert len(set(refused)) == 1, "JSON and objects are judged differently"
    return refused[0]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_is_strict_frozen_and_finite(model: type[StrictModel]) -> None:
    config = model.model_config
    assert (config["strict"], config["frozen"], config["allow_inf_nan"]) == (True, True, False)
    kinds: dict[type[StrictModel], str] = {OpenModel: "allow", LenientModel: "ignore"}
    assert config["extra"] == next((extra for base, extra in kinds.items() if issubclass(model, base)), "forbid")


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_sample_reads_back_as_it_was_written(model: type[StrictModel], sample: dict[str, Any]) -> None:
    read = model.model_validate_json(json.dumps(sample))
    assert model.model_validate(sample) == read
    assert json.loads(read.model_dump_json(exclude_none=True)) == sample
    assert model.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_nothing_is_read_as_another_type(model: type[StrictModel], sample: dict[str, Any]) -> None:
    taken = [
        (path, other)
        for path, value in _places(model, sample)
        for other in _of_another_type(value)
        if not _refuses(model, _put(sample, path, other))
    ]
    assert taken == []


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_an_integer_will_do_for_a_number(model: type[StrictModel], sample: dict[str, Any]) -> None:
    for path, value in _places(model, sample):
        if isinstance(value, float) and value >= 1:
            assert not _refuses(model, _put(sample, path, math.floor(value)))


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_no_object_takes_a_stranger_that_is_an_object(model: type[StrictModel], sample: dict[str, Any]) -> None:
    taken = [
        path
        for path, value in _places(model, sample)
        if isinstance(value, dict) and not _refuses(model, _put(sample, (*path, "stranger"), {"is": "admin"}))
    ]
    assert taken == []


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_deep_nesting_is_refused_and_not_a_crash(model: type[StrictModel], sample: dict[str, Any]) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    for name in [*sample, "stranger"]:
        document = json.dumps({**sample, name: "HERE"}).replace('"HERE"', deep)
        with pytest.raises(ValidationError):
            model.model_validate_json(document)
    with pytest.raises(ValidationError):
        model.model_validate_json(deep)


@pytest.mark.parametrize(("model", "sample"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_read_does_not_change_afterwards(model: type[StrictModel], sample: dict[str, Any]) -> None:
    read = model.model_validate(sample)
    with pytest.raises(ValidationError):
        setattr(read, next(iter(sample)), None)


@pytest.mark.parametrize("document", ["", "null", "[]", "1", '"x"', "{", "{'a': 1}", '{"a": NaN}', "\ud800", "{}"])
@pytest.mark.parametrize("model", [model for model, _ in SAMPLES], ids=lambda model: model.__name__)
def test_what_is_no_document_is_refused(model: type[StrictModel], document: str) -> None:
    with pytest.raises(ValidationError):
        model.model_validate_json(document.encode(errors="surrogatepass"))
