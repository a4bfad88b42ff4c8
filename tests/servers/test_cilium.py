import copy
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.cilium import Judge, ensure_cilium, judging
from tests.servers.debian import NotInstalled

RIGHT: dict[str, Any] = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "one", "namespace": "plant-1", "labels": {"ztfm/service": "one"}, "annotations": {"a": "b"}},
    "spec": {
        "endpointSelector": {"matchExpressions": [{"key": "ztfm/service", "operator": "Exists"}]},
        "enableDefaultDeny": {"ingress": True, "egress": False},
        "ingress": [
            {"fromCIDR": ["10.0.0.1/32", "fd00::1/128"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
        ],
        "ingressDeny": [{"fromCIDR": ["10.0.0.2/32"]}],
        "egressDeny": [{"toCIDR": ["10.0.0.2/32"]}],
    },
}
FREE = {"labels", "annotations"}
"""Objects whose names anybody may choose."""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    try:
        ensure_cilium()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    with judging() as found:
        yield found


def places(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Everything in a document, the document itself among it."""
    yield path
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def test_a_right_object_is_right(judge: Judge) -> None:
    assert judge(RIGHT) == []


@pytest.mark.parametrize("name", ["unknown", "port/protocol", "length", "constructor", "__proto__", "spec"])
def test_a_field_that_is_not_known_is_told_wherever_it_stands(judge: Judge, name: str) -> None:
    tried = 0
    for path in places(RIGHT):
        changed = copy.deepcopy(RIGHT)
        inner = at(changed, path)
        if isinstance(inner, dict) and name not in inner and not FREE & set(path):
            inner[name] = "x"
            assert any("unknown field" in each for each in judge(changed)), path
            tried += 1
    assert tried >= 10


@pytest.mark.parametrize("other", [None, 7, {"x": [7]}])
def test_a_value_of_another_kind_is_told_wherever_it_stands(judge: Judge, other: Any) -> None:
    for path in places(RIGHT):
        if path:
            changed = copy.deepcopy(RIGHT)
            at(changed, path[:-1])[path[-1]] = other
            assert judge(changed), path


def test_without_npm_and_without_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotInstalled, match="as root on Debian"):
        ensure_cilium()
