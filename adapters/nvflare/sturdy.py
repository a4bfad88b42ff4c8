"""What in NVFLARE 2.9 lets one site end a job for all, and is undone here.

A result with one of three return codes ends the job before any filter sees it; an event that a site sends is handled as
if the server had raised it, the fatal error among them; and where sites are processes, one that says that its own
process of a job failed, or is gone, has failed the job.
"""

from collections.abc import Callable
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import EventScope, FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobReturnCode
from nvflare.private.defs import CellChannel, CellChannelTopic, JobFailureMsgKey


def keep_running(runner: Any, on_attempt: Callable[[str], object]) -> None:
    """Have a job's runner on the server take no site's word that the job must end.

    Args:
        runner: NVFLARE's ``ServerRunner``.
        on_attempt: is told which event a site sent.
    """
    runner.ABORT_RETURN_CODES = []

    def judge(event_type: str, fl_ctx: FLContext) -> None:
        if fl_ctx.get_prop(FLContextKey.EVENT_SCOPE) == EventScope.FEDERATION:
            on_attempt(event_type)
        else:
            runner.handle_event(event_type, fl_ctx)

    runner.register_event_handler(EventType.FATAL_SYSTEM_ERROR, judge)


def keep_jobs(server: Any, on_attempt: Callable[[str], object]) -> None:
    """Have the server's own process take no site's word, nor its silence, for the failure of a job.

    What a site says of its process is taken in as an end of it; its results are missing then, as those of any site that
    is absent. That the server's process of a job fails is not a site's to say, and is handled as ever.

    Args:
        server: NVFLARE's ``FederatedServer``.
        on_attempt: is told of which job it was.
    """

    def judge(request: Any) -> Any:
        if isinstance(request.payload, dict):
            request.payload = {**request.payload, JobFailureMsgKey.CODE: JobReturnCode.SUCCESS}
        return server.process_job_failure(request)

    def pass_over(job_id: str, *_: object) -> str:
        on_attempt(job_id)
        return ""

    server.cell.register_request_cb(
        channel=CellChannel.SERVER_MAIN, topic=CellChannelTopic.REPORT_JOB_FAILURE, cb=judge
    )
    # What is left asks for it alone: of a site that is gone.
    server.engine.job_runner.fail_run = pass_over
