"""What an enforcement point asks in AuthZEN's words, made a question that policy can be asked."""

from collections.abc import Collection
from typing import Any, TypeVar, get_args

from aiohttp import web
from pydantic import ConfigDict, TypeAdapter, ValidationError

from controlplane.api.deciding import decide, decide_other
from controlplane.api.problems import problem
from controlplane.api.reading import LARGE_BODY_BYTES, address_of, read_body
from controlplane.api.services import SERVICES
from controlplane.contracts.access import (
    AccessRequest,
    ActionName,
    EvaluationRequest,
    OpenModel,
    RequestContext,
    ResourceProperties,
)
from controlplane.contracts.base import MAX_CUSTOM_NAME, CustomValue, LenientModel, StrictModel
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device

PRODUCT_ACTIONS = frozenset(get_args(ActionName))

Model = TypeVar("Model", bound=LenientModel)
Question = AccessRequest | EvaluationRequest
"""A request for one of the product's actions, or for any other; it holds what the caller is believed in alone."""

_FACT: TypeAdapter[Any] = TypeAdapter(CustomValue, config=ConfigDict(strict=True, allow_inf_nan=False))


async def read_question(request: web.Request, model: type[Model], most_bytes: int = LARGE_BODY_BYTES) -> Model:
    """Return the body as ``model``.

    Raises:
        ProblemError: 400, also for another media type (AuthZEN 1.0 knows no 415); 408, 413 as `read_body`.
    """
    if request.content_type != "application/json":
        raise problem("invalid-request", 400, "The body must be application/json")
    return await read_body(request, model, most_bytes)


def believe(asked: EvaluationRequest, may_assert: Collection[str]) -> Question:
    """Return the request less whatever policy does not take this caller's word for.

    Raises:
        ValidationError: it asks for one of the product's actions and does not fit that action's contract.
    """
    if asked.action.name in PRODUCT_ACTIONS:
        return strip(_as_access(asked), may_assert)
    withheld = {
        part: {} if f"claims.{part}" not in may_assert else getattr(asked, part).properties
        for part in ("subject", "action", "resource")
    }
    return asked.model_copy(
        update={
            **{part: getattr(asked, part).model_copy(update={"properties": told}) for part, told in withheld.items()},
            "context": asked.context if "claims.context" in may_assert else {},
        }
    )


def _as_access(asked: EvaluationRequest) -> AccessRequest:
    document = asked.model_dump()
    try:
        return AccessRequest.model_validate(document)
    except ValidationError:
        return AccessRequest.model_validate(declared(AccessRequest, document))


def strip(access: AccessRequest, may_assert: Collection[str]) -> AccessRequest:
    """Return the request less the declared facts for which policy does not take this caller's word."""
    context = access.context or RequestContext()
    withheld = {name: None for name in RequestContext.model_fields if f"context.{name}" not in may_assert}
    resource = access.resource
    if resource.properties is not None and "resource.properties.digest" not in may_assert:
        kept = ResourceProperties.model_validate(resource.properties.model_extra or {})
        resource = resource.model_copy(update={"properties": kept})
    return access.model_copy(update={"context": context.model_copy(update=withheld), "resource": resource})


def declared(model: type[StrictModel], document: Any) -> Any:
    """Return a JSON document less what ``model`` cannot hold: members that it does not know (AuthZEN has them ignored).

    Of the properties that a caller may add, those that can be no fact go: they are neither scalar nor a short list of
    texts. What is declared stays, whatever it is, and is judged by the model.
    """
    if not isinstance(document, dict):
        return document
    kept = {}
    for name, value in document.items():
        field = model.model_fields.get(name)
        if field is not None:
            inner = _model_within(field.annotation)
            kept[name] = declared(inner, value) if inner is not None else value
        elif issubclass(model, OpenModel) and len(name) <= MAX_CUSTOM_NAME and _can_be_fact(value):
            kept[name] = value
    return kept


def _model_within(annotation: Any) -> type[StrictModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, StrictModel):
            return candidate
    return None


def _can_be_fact(value: object) -> bool:
    try:
        _FACT.validate_python(value)
    except ValidationError:
        return False
    return True


async def answer(
    request: web.Request, question: Question, *, device: Device | None = None, search: str = ""
) -> Decision:
    """Return the recorded decision on a question.

    Args:
        request: whose answer it becomes part of.
        question: what is asked.
        device: the subject, where it was looked up already.
        search: the decision that let the caller search, when the question is about a candidate.
    """
    services, address = request.app[SERVICES], address_of(request)
    if isinstance(question, AccessRequest):
        device = device or await services.registry.get(question.subject.id)
        return await decide(services, question, device, address, search, on_behalf=True)
    if device is None and question.subject.type == "device":
        device = await services.registry.get(question.subject.id)
    return await decide_other(services, question, device, address, search)
