"""What the workbench and the explanation of decisions share: tries that end with whoever waits, and their refusals."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from aiohttp import web

from controlplane.api.problems import ProblemError, problem, unavailable
from controlplane.authoring.errors import DraftMoved, NoPolicyTools, TrialsBusy
from controlplane.bundles import BundleRefused

Result = TypeVar("Result")

LOOK_SECONDS = 0.2
"""How often it is looked whether whoever asked is still there."""

MAX_DETAIL = 1024


async def tried(request: web.Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return what comes of work on policies, which ends when whoever asked goes away.

    Raises:
        ProblemError: 400 when they did; 409 where what is edited is another by now; 422 for policies that cannot be
            tried; 429 while another try of the same person is under way; 501 where there is nothing to try with; 503
            while others try.
    """
    try:
        return await _while_there(request, work)
    except BundleRefused as refused:
        raise refusal(refused) from None
    except DraftMoved as moved:
        raise problem("conflict", 409, "The policies that are edited have changed", _sentence(str(moved))) from None
    except NoPolicyTools as missing:
        raise problem("no-policy-tools", 501, "There is no program to try policies with", str(missing)) from None
    except TrialsBusy as busy:
        if busy.is_own:
            again = {"Retry-After": "1"}
            detail = "Another try of yours is under way. Wait until it ends."
            raise problem("too-many-requests", 429, "One try at a time", detail, headers=again) from None
        raise unavailable("Others try policies at this moment. Wait until they are done.") from None


def refusal(refused: BundleRefused) -> ProblemError:
    """Return the problem of policies that are not taken."""
    return problem("policy-refused", 422, refused.reason, refused.detail[: MAX_DETAIL - 64], cause=refused.reason)


async def _while_there(request: web.Request, work: Coroutine[Any, Any, Result]) -> Result:
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_SECONDS))[0]:
            transport = request.transport
            if transport is None or transport.is_closing():
                raise problem("bad-http", 400, "Whoever asked went away before it was done")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}. Load them again."
