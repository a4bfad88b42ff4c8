"""Ask a control plane that may run how it stands, for the commands that look at its store."""

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.response import addinfourl

from controlplane.capabilities.channels import client_context

ASK_SECONDS = 2.0
_MAX_ANSWER = 65_536


def served(url: str, authority: Path | None = None) -> dict[str, Any] | None:
    """Return what the control plane at ``url`` says at ``/readyz``, ready or not; none when none answers.

    Args:
        url: its public URL.
        authority: file of the authority that its certificate leads to; where there is none, the system's.
    """
    known = authority if authority is not None and authority.is_file() else None
    try:
        with _opened(f"{url}/readyz", known) as answer:
            raw = answer.read(_MAX_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            raw = error.read(_MAX_ANSWER)
    except (OSError, HTTPException, ValueError):
        return None
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "policy_revision" in found else None


class _Nowhere(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: another's answer would be taken for the control plane's."""

    def redirect_request(self, *_given: object, **_named: object) -> None:
        """None is followed."""


def _opened(url: str, authority: Path | None) -> addinfourl:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _Nowhere()]
    if url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=client_context(authority)))
    found: addinfourl = urllib.request.build_opener(*handlers).open(url, timeout=ASK_SECONDS)
    return found
