from collections import Counter
from collections.abc import Sequence

import pytest

from adapters.errors import Denied
from adapters.fleet.errors import FleetError
from adapters.fleet.pace import Pace
from adapters.fleet.tokens import Tokens
from controlplane.contracts.access import AccessReason
from controlplane.contracts.identity import IssuedTokens

GROUP = (("trainer",), "nowhere")


class Denying:
    """Denies every request for lack of the same, and counts them."""

    def __init__(self, *codes: str) -> None:
        self.asked = 0
        self._reasons = [AccessReason(code=code, message="It lacks.", remedy="Give it.") for code in codes]

    async def issue_tokens(
        self, roles: Sequence[str], segment: str, *, hours: float = 1.0, count: int = 1
    ) -> IssuedTokens:
        self.asked += 1
        raise Denied("denied", reasons=self._reasons)


@pytest.mark.parametrize(
    "codes", [("roles_known",), ("roles_fit_segment",), ("roles_known", "roles_fit_segment")], ids="+".join
)
async def test_what_a_group_lacks_is_denied_to_each_line_and_asked_for_once(codes: tuple[str, ...]) -> None:
    issuer = Denying(*codes)
    tokens = Tokens(issuer, Counter({GROUP: 2}), Pace())
    for _ in range(2):
        with pytest.raises(Denied):
            await tokens.take(GROUP)
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "codes", [(), ("role_granted",), ("roles_known", "segment_allowed")], ids=["nothing-named", "its-own", "both"]
)
async def test_what_the_administrator_lacks_ends_the_run(codes: tuple[str, ...]) -> None:
    tokens = Tokens(Denying(*codes), Counter({GROUP: 2}), Pace())
    with pytest.raises(FleetError, match="the administrator is given no tokens"):
        await tokens.take(GROUP)
