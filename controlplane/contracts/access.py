"""Who asks to do what to which thing: AuthZEN's information model (OpenID AuthZEN Authorization API 1.0)."""

import operator
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Literal, Self, get_args

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from controlplane.contracts.attestation import Difference
from controlplane.contracts.base import (
    MAX_CUSTOM_NAME,
    MAX_CUSTOM_PROPERTIES,
    Count,
    CustomValue,
    Digest,
    Identifier,
    Label,
    LenientModel,
    Name,
    ResourceName,
    StrictModel,
    Text,
    Timestamp,
)
from controlplane.contracts.claims import Claims
from controlplane.contracts.evidence import UpdateEvidence

ActionName = Literal["model_access", "gradient_submission", "inference"]
"""The requests that policy decides for devices; each is a Rego package of the same name. `docs/extending.md` says what
another one takes."""

ACTIONS: tuple[str, ...] = get_args(ActionName)

Purpose = Literal["training", "serving"]
"""Why a model is pulled: to train in a round, or to serve it."""


class OpenModel(StrictModel):
    """A strict model to which a caller may add a few properties of their own.

    The declared properties keep their types; the added ones are scalars or short lists of strings, at
    most 32 of them, so depth and size are bounded by construction.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, CustomValue] = Field(init=False)

    @model_validator(mode="after")
    def _bound_custom_properties(self) -> Self:
        extra = self.__pydantic_extra__
        if not extra:
            return self
        if len(extra) > MAX_CUSTOM_PROPERTIES:
            raise ValueError(f"at most {MAX_CUSTOM_PROPERTIES} properties may be added, got {len(extra)}")
        if any(len(name) > MAX_CUSTOM_NAME for name in extra):
            raise ValueError(f"the name of an added property has at most {MAX_CUSTOM_NAME} characters")
        return self


class Network(StrictModel):
    """Where a request came from.

    Attributes:
        address: textual IPv4 or IPv6 address, as the enforcement point saw it. One that is mapped into IPv6
            (``::ffff:192.0.2.1``) is told as the IPv4 address that it is: engines differ over which networks hold it.
    """

    address: str = Field(min_length=2, max_length=45, pattern=r"^[0-9A-Fa-f:.]+$")

    @field_validator("address")
    @classmethod
    def _told_one_way(cls, value: str) -> str:
        return _told(value)


@lru_cache(4096)
def _told(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        raise ValueError("it is no IPv4 or IPv6 address") from None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return address if mapped is None else str(mapped)


class InferenceSize(StrictModel):
    """How much an inference asks for.

    Attributes:
        prompt_tokens: length of the prompt, tokens.
        max_output_tokens: the most that may be generated, tokens.
    """

    prompt_tokens: Count
    max_output_tokens: Count


class Verification(StrictModel):
    """What an enforcement point found when it checked a device's capability and key proof.

    Attributes:
        verified: the capability and the proof both held.
        cause: why they did not; empty when they did.
    """

    verified: bool
    cause: Label | Literal[""] = ""


class Subject(StrictModel):
    """The party that asks.

    Attributes:
        type: kind of party, such as ``device``.
        id: its registered identifier.
        properties: facts that the caller adds; never those that the control plane owns.
    """

    type: Label
    id: Identifier
    properties: OpenModel | None = None


class Action(StrictModel):
    """What is asked for.

    Attributes:
        name: one of the three decided actions.
        properties: facts that the caller adds.
    """

    name: ActionName
    properties: OpenModel | None = None


class ResourceProperties(OpenModel):
    """What the caller knows of a resource.

    Attributes:
        digest: content digest of the model that is asked for.
    """

    digest: Digest | None = None


class Resource(StrictModel):
    """What it is asked of.

    Attributes:
        type: kind of resource, such as ``model``.
        id: its identifier in ``policies/data``.
        properties: facts that the caller adds.
    """

    type: Label
    id: Identifier
    properties: ResourceProperties | None = None


class RequestContext(OpenModel):
    """The circumstances that a caller may state; policy says which caller may assert which.

    Attributes:
        purpose: why a model is pulled.
        round_id: the round that this belongs to.
        network: where the subject's request came from, as a gateway saw it.
        inference: size of the inference.
        evidence: what screening measured on an update.
        verification: what the enforcement point found when it checked the capability.
    """

    purpose: Purpose | None = None
    round_id: Identifier | None = None
    network: Network | None = None
    inference: InferenceSize | None = None
    evidence: UpdateEvidence | None = None
    verification: Verification | None = None


class AccessRequest(StrictModel):
    """One request for one of the three decided actions, in the product's own vocabulary."""

    subject: Subject
    action: Action
    resource: Resource
    context: RequestContext | None = None


class AnySubject(LenientModel):
    """A subject of any type, as AuthZEN lets a caller name it (section 5.1).

    Attributes:
        properties: what the caller says of it.
    """

    type: Name
    id: Name
    properties: Claims = Field(default_factory=dict)


class AnyAction(LenientModel):
    """An action of any name (section 5.3)."""

    name: Name
    properties: Claims = Field(default_factory=dict)


class AnyResource(LenientModel):
    """A resource of any type (section 5.2)."""

    type: Name
    id: ResourceName
    properties: Claims = Field(default_factory=dict)


class EvaluationRequest(LenientModel):
    """One AuthZEN evaluation request (section 6.1), about anything."""

    subject: AnySubject
    action: AnyAction
    resource: AnyResource
    context: Claims = Field(default_factory=dict)


Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
"""When a batch ends: after its last element, its first denial or its first permit (section 7.1.2.1)."""


class EvaluationOptions(LenientModel):
    """How a batch is carried out."""

    evaluations_semantic: Semantic = "execute_all"


MAX_EVALUATIONS = 100


class EvaluationsRequest(LenientModel):
    """An AuthZEN batch (section 7.1): defaults, and up to 100 evaluations whose order is kept.

    Attributes:
        subject: stands in every element that names none; so do action, resource and context, each as a whole.
        evaluations: an `EvaluationRequest` each, less what the defaults give. One that does not fit is answered in its
            place and does not spoil the others. Without any, the defaults are the one request.
    """

    subject: AnySubject | SkipJsonSchema[None] = None
    action: AnyAction | SkipJsonSchema[None] = None
    resource: AnyResource | SkipJsonSchema[None] = None
    context: Claims | SkipJsonSchema[None] = None
    evaluations: list[dict[str, JsonValue]] = Field(default_factory=list, max_length=MAX_EVALUATIONS)
    options: EvaluationOptions = Field(default_factory=EvaluationOptions)

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["subject", "action", "resource"]},
                {"required": ["evaluations"], "properties": {"evaluations": {"minItems": 1}}},
            ]
        }
    )

    @field_validator("subject", "action", "resource", "context", mode="before")
    @classmethod
    def _is_stated(cls, value: object) -> object:
        if value is None:
            raise ValueError("null is no value; leave it out")
        return value


MAX_DIFFERENCES = 16


class AccessReason(StrictModel):
    """One thing that was missing, and what its owner can do about it.

    Attributes:
        code: of the requirement.
        message: what was missing.
        remedy: what to do about it.
        differences: the claims that are not what they should be, where it is about claims; left out where it is not.
        until: when it will be met by itself, Unix seconds; left out where it will not, or nobody knows when.
    """

    code: Label
    message: Text
    remedy: Text
    differences: Annotated[list[Difference], Field(max_length=MAX_DIFFERENCES, exclude_if=operator.not_)] = Field(
        default_factory=list
    )
    until: Annotated[Timestamp | None, Field(exclude_if=operator.not_)] = None

    @property
    def told(self) -> str:
        """All of it in one line, for people."""
        return " ".join([f"{self.code}: {self.message}", *(one.sentence for one in self.differences), self.remedy])
