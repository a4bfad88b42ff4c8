"""A client registers: beside NVFLARE's certificate it proves the key that it was enrolled with.

Both are components of a site, in its ``local/resources.json``, not of a job. Registering is before any job; who takes
part in a round is asked once more there.
"""

import logging
import time
from collections.abc import Callable, Mapping

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import EventScope, FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.fl_exception import NotAuthenticated
from nvflare.private.defs import ClientType

from adapters.credentials import Introduction
from adapters.guard.checkpoint import Checkpoint
from adapters.member import Member
from adapters.nvflare.folders import own_folder
from adapters.nvflare.sturdy import keep_jobs
from controlplane.capabilities.refusals import Refused

PROPERTY = "ztfm_introduction"
"""Of the context that a client sends along when it registers."""

_log = logging.getLogger("ztfm.guard")


class Introducing(FLComponent):  # type: ignore[misc] # nvflare is read without its types
    """Of a client site: introduces the site when it registers.

    Args:
        audience: as the server's `Registration` has it.
        folder: of the enrolled device. ``{site}`` is the site's name; relative to its workspace.
    """

    def __init__(self, audience: str, folder: str = "local/identity") -> None:
        super().__init__()
        self.audience = audience
        self.folder = folder

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Attach the introduction; without an enrolled key the server will refuse."""
        if event_type != EventType.BEFORE_CLIENT_REGISTER:
            return
        with Member.open(own_folder(self.folder, fl_ctx)) as member:
            shown = member.introduce(self.audience).to_dict()
        fl_ctx.set_prop(PROPERTY, shown, private=False, sticky=False)


class Registration(FLComponent):  # type: ignore[misc] # nvflare is read without its types
    """Of the server site: registers clients that prove an enrolled key, and no others.

    NVFLARE takes any fault here but one for a yes, so whatever goes wrong becomes that one. Consoles of administrators
    pass: they are people, whom NVFLARE authenticates, and no tasks are given to them. From the server's start on no
    client that is registered can end a job for all by what it says of its own part (`adapters.nvflare.sturdy`).

    Args:
        audience: the name of this point, which introductions must be for.
        members: client -> subject that may stand behind it; none for whoever proves a key.
        clock: Unix seconds.
    """

    def __init__(
        self, audience: str, members: dict[str, str] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.audience = audience
        self.members = members
        self._checkpoint = Checkpoint(dict, "", audience, clock)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Refuse a client that does not introduce itself; at the start, have no client's word end a job.

        Raises:
            NotAuthenticated: it does not; NVFLARE answers it so, and goes on.
        """
        if event_type == EventType.SYSTEM_START:
            keep_jobs(fl_ctx.get_engine().server, _failed)
        if event_type != EventType.CLIENT_REGISTER_RECEIVED:
            return
        if fl_ctx.get_prop(FLContextKey.EVENT_SCOPE) == EventScope.FEDERATION:
            return
        if fl_ctx.get_prop(FLContextKey.CLIENT_TYPE) == ClientType.ADMIN:
            return
        try:
            cause = self._refusal(fl_ctx.get_peer_context())
        except Exception:  # noqa: BLE001 - whatever a client sends, the outcome is a refusal
            _log.exception("a registration could not be judged: it is refused")
            cause = "malformed"
        if cause:
            _log.warning("a client is not registered: %s", cause)
            raise NotAuthenticated(f"the introduction does not hold: {cause}")

    def _refusal(self, peer: object) -> str:
        """Return why a client is refused, in a word; empty when it is not."""
        shown = peer.get_prop(PROPERTY) if isinstance(peer, FLContext) else None
        if not isinstance(shown, Mapping):
            return "proof_missing"
        found = self._checkpoint.identify(Introduction.from_dict(shown))
        if isinstance(found, Refused):
            return found.cause
        name = peer.get_identity_name() if isinstance(peer, FLContext) else ""
        return "" if self.members is None or self.members.get(str(name)) == found else "not_invited"


def _failed(job_id: str) -> None:
    _log.warning("a site's part of the job %s is gone: the job goes on without it", job_id)
