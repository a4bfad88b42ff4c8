"""Lead a group's secure sum among members that live in this process, each with its own key and capability."""

from collections.abc import Mapping
from functools import partial

from adapters.errors import ControlPlaneError
from adapters.guard.rounds import SealedRound
from adapters.guard.summing import Bounds, GroupServer, encode, finish, masked_digest
from adapters.hiding import asked_group
from adapters.member import Member
from adapters.screening import Source, read
from adapters.secureaggregation import Aborted, Client, lead
from adapters.secureaggregation.masks import Words
from adapters.secureaggregation.messages import Delivery, Masked
from adapters.secureaggregation.session import Session
from adapters.site.measuring import norm_of
from controlplane.capabilities.grouping import group_digest


class MemberClient(Client):
    """A member's part in a sum: what it masks, it asks a capability for.

    Args:
        session: of the sum.
        member: whose key signs, and who asks.
        sealed: the round.
        server: that is shown the capability.
        norm: L2 norm of its update, which a site of its own is told; none where that is not known.
    """

    def __init__(
        self, session: Session, member: Member, sealed: SealedRound, server: GroupServer, norm: float | None = None
    ) -> None:
        super().__init__(session, member.id, member.key, server.members, knows=server.knows)
        self._norm = norm
        self._member = member
        self._terms = sealed.terms
        self._server = server

    def mask(self, delivery: Delivery, words: Words) -> Masked:
        """Return the masked values, once the control plane lets them be submitted to this group's sum.

        Raises:
            Aborted: as `Client.mask`; ``declined`` where it does not, ``unlike_roster`` where the group is another.
        """
        masked = super().mask(delivery, words)
        digest = masked_digest(self._server.session, masked)
        try:
            if self._member.site is not None:
                self._member.describe(digest, norm=self._norm)
            shown = self._member.submit_masked(self._terms, digest)
        except ControlPlaneError as error:
            raise Aborted("declined", f"{self._member.id} may not submit: {error}") from None
        if asked_group(shown.capability) != group_digest(self._server.members):
            raise Aborted("unlike_roster", "this is not the group that the control plane put this device into")
        self._server.show(self._member.id, shown)
        return masked


def group_sum(
    server: GroupServer,
    members: Mapping[str, Member],
    sealed: SealedRound,
    bounds: Bounds,
    updates: Mapping[str, Source],
) -> None:
    """Have a group's sum made, which its server keeps. An update that does not fit is left out.

    Args:
        server: of the group.
        members: of it that are here.
        sealed: the round.
        bounds: what its members agree on.
        updates: theirs.
    """

    def words(name: str) -> Words:
        return encode(read(updates[name]), sealed.manifest, server.members, bounds)

    def norm(name: str) -> float | None:
        return None if members[name].site is None else norm_of(read(updates[name]))

    clients = {name: MemberClient(server.session, members[name], sealed, server, norm(name)) for name in updates}
    finish(server, partial(lead, server, clients, words), sealed.manifest, bounds)
