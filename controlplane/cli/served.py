"""Ask a control plane that may run how it stands, for the commands that look at its store."""

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

ASK_SECONDS = 2.0
_MAX_ANSWER = 65_536


def served(url: str) -> dict[str, Any] | None:
    """Return what the control plane at ``url`` says at ``/readyz``, ready or not; none when none answers."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=ASK_SECONDS) as answer:  # noqa: S310 - our own setting, http or https
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
