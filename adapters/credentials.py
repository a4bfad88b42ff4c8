"""What a device shows: its name, and capabilities with their proofs. Plain values that any transport can carry."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from controlplane.contracts.base import Digest, Identifier

IDENTIFY, PULL, SUBMIT = "IDENTIFY", "PULL", "SUBMIT"
"""What stands for the HTTP method in proofs that travel over another transport."""

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
_DIGEST: TypeAdapter[str] = TypeAdapter(Digest)


def target(audience: str, round_id: str) -> str:
    """Return what stands for the URL in such proofs: one enforcement point, one round."""
    return f"urn:ztfm:{audience}:{round_id}"


def subject_of(thumbprint: str) -> str:
    """Return the name of whoever holds a key: names follow from keys, so nobody can choose one."""
    return f"dev-{thumbprint}"


class _Carried:
    """A value whose fields are all text, so that any transport can carry it as a flat mapping."""

    def to_dict(self) -> dict[str, str]:
        """Return the fields by name."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return the value of an untrusted mapping; other names in it are passed over.

        Raises:
            ValueError: a field is missing, or is no text.
        """
        values = {field.name: found.get(field.name) for field in fields(cls)}  # type: ignore[arg-type]
        if not all(isinstance(value, str) for value in values.values()):
            raise ValueError(f"{cls.__name__} needs {', '.join(values)}, each a text")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Introduction(_Carried):
    """Who a device says it is, with a proof by its key (htm ``IDENTIFY``, htu ``urn:ztfm:<audience>:``).

    Attributes:
        subject: its name.
        proof: compact JWT.
    """

    subject: str
    proof: str


@dataclass(frozen=True, slots=True)
class Credentials(_Carried):
    """A capability and the proof that goes with it, as presented; nothing is verified yet.

    Attributes:
        subject: who the device says it is.
        capability: compact JWT.
        proof: compact JWT.
    """

    subject: str
    capability: str
    proof: str


@dataclass(frozen=True, slots=True)
class RoundTerms(_Carried):
    """What a device must know of a round to ask for its credentials.

    Attributes:
        round_id: the round.
        model: the model's identifier in ``policies/data``.
        model_digest: of the weights of this round.
        audience: the enforcement point that will verify.
    """

    round_id: str
    model: str
    model_digest: str
    audience: str

    def __post_init__(self) -> None:
        """Refuse what cannot be the terms of a round.

        Raises:
            ValueError: a field is not of its kind.
        """
        try:
            for name in (self.round_id, self.model, self.audience):
                _IDENTIFIER.validate_python(name)
            _DIGEST.validate_python(self.model_digest)
        except ValidationError:
            raise ValueError("a round's terms are three identifiers and a digest") from None
