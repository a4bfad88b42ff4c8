"""What identifiers stand for, asked with the SDK of a real control plane."""

from collections.abc import Callable

import pytest

from adapters.client import ControlPlane
from adapters.errors import Forbidden
from adapters.member import Member
from controlplane.identifiers.didkey import did_key
from tests.support import ControlPlane as RunningPlane

Enrol = Callable[..., Member]


async def test_a_device_learns_its_did_and_nothing_of_others(plane: RunningPlane, enrol: Enrol) -> None:
    trainer, other = enrol("trainer"), enrol("trainer")
    async with ControlPlane(plane.url, trainer.key) as client:
        found = await client.resolve(trainer.id)
        assert found.did_document is not None
        assert found.did_document.id == did_key(trainer.key.public)
        assert list(found.keys_for("authentication").values()) == [trainer.key.public]
        with pytest.raises(Forbidden):
            await client.resolve(other.id)


def test_what_does_not_resolve_is_a_value_without_keys(enrol: Enrol) -> None:
    gateway = enrol("gateway")
    for did, error in {
        "did:web:a.example%3A8443:b": "notAllowed",
        "did:key:z": "invalidDid",
        "did:other:a": "methodNotSupported",
    }.items():
        found = gateway.plane.resolve(did)
        assert (found.error, found.did_document, found.keys_for("assertionMethod")) == (error, None, {})
