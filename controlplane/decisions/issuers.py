"""Whether policy is interested in anything that an issuer of credentials says; asked before its keys are looked for."""

from pydantic import ValidationError

from controlplane.contracts.facts.enrolment import IssuerQuery, IssuerTerms
from controlplane.decisions.engine import Answered, PolicyEngine

PACKAGE = "issuers"


class IssuerPolicy:
    """Asks policy; being of interest allows nothing."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine

    async def accepts(self, issuer: str) -> bool:
        """Return whether policy names an issuer (a DID); false, too, when it does not say."""
        try:
            query = IssuerQuery(issuer=issuer)
        except ValidationError:
            return False
        answer = await self._engine.ask(PACKAGE, query.model_dump_json().encode())
        if not isinstance(answer, Answered):
            return False
        try:
            return IssuerTerms.model_validate(answer.document).accepted
        except ValidationError:
            return False
