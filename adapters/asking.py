"""What enforcement points ask on behalf of others: evaluations and searches of AuthZEN 1.0."""

from collections.abc import Sequence

from adapters.answers import Decision, decision_of
from adapters.calls import Calls
from adapters.errors import Unavailable
from adapters.wire import read_answer
from controlplane.contracts.access import AccessRequest, EvaluationOptions, EvaluationsRequest, Semantic
from controlplane.contracts.decision import AccessResponse, AccessResponses
from controlplane.contracts.search import (
    ActionSearch,
    ActionsFound,
    ResourceSearch,
    ResourcesFound,
    SubjectSearch,
    SubjectsFound,
)


class Asking(Calls):
    """AuthZEN's questions. A denial is a value (`adapters.answers.Decision`)."""

    async def evaluate(self, request: AccessRequest) -> Decision:
        """Ask for one decision. A denial is a value: ``require()`` raises it as `Denied`."""
        return decision_of(read_answer(AccessResponse, await self._post("/access/v1/evaluation", request)))

    async def evaluate_many(
        self, requests: Sequence[AccessRequest], semantic: Semantic = "execute_all"
    ) -> list[Decision]:
        """Ask for up to 100 decisions at once; answers keep the order.

        Args:
            requests: the questions.
            semantic: ``execute_all`` answers each; the others end with the first denial or permit, and leave the rest
                unanswered.

        Raises:
            Unavailable: the answer is not one decision for each request.
            ValueError: none, or more than 100.
        """
        elements = [one.model_dump(mode="json", exclude_none=True) for one in requests]
        if not elements:
            raise ValueError("there is nothing to ask")
        options = EvaluationOptions(evaluations_semantic=semantic)
        batch = EvaluationsRequest(evaluations=elements, options=options)
        given = read_answer(AccessResponses, await self._post("/access/v1/evaluations", batch)).evaluations
        if len(given) > len(elements) or (semantic == "execute_all" and len(given) < len(elements)) or not given:
            raise Unavailable("the answer is not one decision for each request: compare the versions of both sides")
        return [decision_of(one) for one in given]

    async def search_subjects(self, search: SubjectSearch) -> SubjectsFound:
        """Return a page of the subjects that may do this to that."""
        return read_answer(SubjectsFound, await self._post("/access/v1/search/subject", search))

    async def search_resources(self, search: ResourceSearch) -> ResourcesFound:
        """Return a page of the resources on which a subject may do this."""
        return read_answer(ResourcesFound, await self._post("/access/v1/search/resource", search))

    async def search_actions(self, search: ActionSearch) -> ActionsFound:
        """Return what a subject may do to a resource."""
        return read_answer(ActionsFound, await self._post("/access/v1/search/action", search))
