"""What an enforcement point lets through: a request with the capability behind it, or one that needs none."""

from dataclasses import dataclass, field

from adapters.web.rules import Named, Rule
from controlplane.contracts.capability import CapabilityClaims, Constraints


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may go on.

    Attributes:
        claims: of the capability; its limits on tokens, norm, epsilon and detail are for the application to keep.
        named: the resource, and the round and weights where the rule's path names them.
        rule: that it came under.
        kid: the key that the capability was signed with, by which its standing is looked up again
            (`EnforcementPoint.lapsed`); none holds no longer than the request took to be let through.
    """

    claims: CapabilityClaims
    named: Named
    rule: Rule
    kid: str | None = field(default=None, repr=False)

    @property
    def subject(self) -> str:
        """Who asks."""
        return self.claims.sub

    @property
    def limits(self) -> Constraints:
        """What the capability is limited to."""
        return self.claims.detail.constraints

    @property
    def shows_detail(self) -> bool:
        """Whether the full answer may be shown; otherwise the label alone."""
        return self.limits.detail == "full"

    @property
    def max_answer_bytes(self) -> int | None:
        """The most that may be sent back to a pull; none without a limit."""
        return self.limits.max_bytes if self.rule.action == "model_access" else None


@dataclass(frozen=True, slots=True)
class Exempt:
    """A request to a path that everybody may call."""
