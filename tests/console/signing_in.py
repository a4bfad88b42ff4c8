"""A session of an enrolled device, put into a browser as its own sign-in would."""

from playwright.sync_api import BrowserContext

from tests.support import Caller, ControlPlane


def signed_in(context: BrowserContext, plane: ControlPlane, caller: Caller) -> None:
    """Begin a session of an enrolled caller, and keep its cookie in the browser."""
    answer = caller.post("/v1/console/session", {})
    assert answer.status == 201, answer.body
    name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
    context.add_cookies([{"name": name, "value": value, "url": plane.url}])
