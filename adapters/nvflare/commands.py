"""What administrators may have a site do: a closed list, because NVFLARE takes no answer for a yes."""

import logging

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import AdminCommandNames, FLContextKey
from nvflare.apis.fl_context import FLContext

ALLOWED = (
    AdminCommandNames.ABORT,
    AdminCommandNames.ABORT_JOB,
    AdminCommandNames.ABORT_TASK,
    AdminCommandNames.ADMIN_CHECK_STATUS,
    AdminCommandNames.CHECK_RESOURCES,
    AdminCommandNames.CHECK_STATUS,
    AdminCommandNames.CONFIGURE_JOB_LOG,
    AdminCommandNames.DEPLOY_APP,
    AdminCommandNames.REPORT_ENV,
    AdminCommandNames.REPORT_RESOURCES,
    AdminCommandNames.REPORT_VERSION,
    AdminCommandNames.RESET_ERRORS,
    AdminCommandNames.RESTART,
    AdminCommandNames.SHOW_ERRORS,
    AdminCommandNames.SHOW_SCOPES,
    AdminCommandNames.SHOW_STATS,
    AdminCommandNames.SHUTDOWN,
    AdminCommandNames.SUBMIT_JOB,
    AdminCommandNames.SYS_INFO,
)
"""Running jobs and looking after them. Reading files is left out: a site's key lies in one."""

_log = logging.getLogger("ztfm.member")


class CommandCheck(FLComponent):  # type: ignore[misc] # nvflare is read without its types
    """A component of a site, in its ``local/resources.json``: answers for every command that comes to the site.

    It narrows what NVFLARE's own authorization allows, and allows nothing that this would not.

    Args:
        commands: names of the commands that may be carried out; none for `ALLOWED`.
    """

    def __init__(self, commands: list[str] | None = None) -> None:
        super().__init__()
        self.commands = commands

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Answer; a command that is not listed is refused."""
        if event_type != EventType.AUTHORIZE_COMMAND_CHECK:
            return
        listed = ALLOWED if self.commands is None else self.commands
        command = fl_ctx.get_prop(FLContextKey.COMMAND_NAME)
        is_allowed = isinstance(command, str) and command in listed
        fl_ctx.set_prop(FLContextKey.AUTHORIZATION_RESULT, is_allowed, sticky=False)
        if not is_allowed:
            _log.warning("the command %r is not carried out at this site", command)
            reason = "this site does not carry out the command; its owner may list it"
            fl_ctx.set_prop(FLContextKey.AUTHORIZATION_REASON, reason, sticky=False)
