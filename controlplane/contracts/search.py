"""Who may do this, on what, and which actions: AuthZEN's searches (OpenID AuthZEN Authorization API 1.0, section 8)."""

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator
from pydantic.json_schema import SkipJsonSchema

from controlplane.contracts.access import AnyAction, AnyResource, AnySubject
from controlplane.contracts.base import Count, LenientModel, Name, ResourceName, StrictModel
from controlplane.contracts.claims import Claims

DEFAULT_PAGE = 50
MAX_PAGE = 100
MAX_TOKEN = 4096
"""Room for the longest name, sealed."""

PageToken = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)]


class Page(LenientModel):
    """Which part of the results is asked for (section 8.2.1).

    Attributes:
        token: the ``next_token`` of the page before; everything else must be what it was then.
        limit: results at most; more than `MAX_PAGE` is `MAX_PAGE`. With a token it may be left out.
        properties: ignored; none are defined.
    """

    token: PageToken | SkipJsonSchema[None] = None
    limit: Annotated[int, Field(ge=0, le=2**31)] | SkipJsonSchema[None] = None
    properties: Claims = Field(default_factory=dict)

    @field_validator("token", "limit", mode="before")
    @classmethod
    def _is_stated(cls, value: object) -> object:
        if value is None:
            raise ValueError("null is no value; leave it out")
        return value


class SearchedSubject(LenientModel):
    """The subjects that are looked for. An id is ignored."""

    type: Name
    properties: Claims = Field(default_factory=dict)


class SearchedResource(LenientModel):
    """The resources that are looked for. An id is ignored."""

    type: Name
    properties: Claims = Field(default_factory=dict)


class SubjectSearch(LenientModel):
    """Which subjects of a type may do this to that (section 8.4)."""

    subject: SearchedSubject
    action: AnyAction
    resource: AnyResource
    context: Claims = Field(default_factory=dict)
    page: Page = Field(default_factory=Page)


class ResourceSearch(LenientModel):
    """On which resources of a type a subject may do this (section 8.5)."""

    subject: AnySubject
    action: AnyAction
    resource: SearchedResource
    context: Claims = Field(default_factory=dict)
    page: Page = Field(default_factory=Page)


class ActionSearch(LenientModel):
    """What a subject may do to a resource (section 8.6). An action is ignored."""

    subject: AnySubject
    resource: AnyResource
    context: Claims = Field(default_factory=dict)
    page: Page = Field(default_factory=Page)


class PageInfo(StrictModel):
    """Where the results go on (section 8.2.2).

    Attributes:
        next_token: opaque; empty at the end. A page may hold fewer results than asked for, or none, and still go on.
        count: results in this page.
    """

    next_token: Annotated[str, StringConstraints(max_length=MAX_TOKEN)]
    count: Count


class FoundSubject(StrictModel):
    """A subject that may."""

    type: Name
    id: Name


class FoundResource(StrictModel):
    """A resource on which one may."""

    type: Name
    id: ResourceName


class FoundAction(StrictModel):
    """An action that is permitted."""

    name: Name


class SearchContext(StrictModel):
    """What stands behind a search.

    Attributes:
        id: the decision that let the caller search; the decisions on candidates name it in their facts.
        policy_revision: the revision that made it.
    """

    id: str
    policy_revision: str


class SubjectsFound(StrictModel):
    """The answer to a `SubjectSearch`."""

    page: PageInfo
    context: SearchContext
    results: list[FoundSubject]


class ResourcesFound(StrictModel):
    """The answer to a `ResourceSearch`."""

    page: PageInfo
    context: SearchContext
    results: list[FoundResource]


class ActionsFound(StrictModel):
    """The answer to an `ActionSearch`."""

    page: PageInfo
    context: SearchContext
    results: list[FoundAction]
