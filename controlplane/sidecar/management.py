"""Look into an OPA that runs, over its management API: health, active bundle, loaded policies.

This is what `opa-python-client` is for. It speaks TCP alone and retries for most of a second, so it stays off the path
of decisions.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from opa_client import OpaClient
from opa_client.errors import PolicyNotFoundError
from requests import RequestException

from controlplane.sidecar.configuring import BUNDLES

TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Condition:
    """What an OPA says of itself.

    Attributes:
        is_healthy: it answers and has activated its bundles.
        policy_revision: of the active bundle; empty when there is none, or the token was refused.
        policies: the loaded modules, by path.
        trouble: why it cannot decide for a control plane; empty when it can.
    """

    is_healthy: bool
    policy_revision: str
    policies: tuple[str, ...]
    trouble: str = ""


def look(url: str, token: str) -> Condition:
    """Return the condition of the OPA at ``url``, whose API wants ``token``; never raises for what OPA does.

    Raises:
        ValueError: ``url`` is no HTTP URL with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no http:// or https:// URL with a host")
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    client = OpaClient(parts.hostname, port, ssl=is_secure, token=token, retries=1, timeout=TIMEOUT_SECONDS)
    with client:
        return _look(client)


def _look(client: OpaClient) -> Condition:
    if not client.check_health():
        return Condition(False, "", (), "it does not answer")
    is_healthy = bool(client.check_health({"bundles": "true"}))
    try:
        policies = tuple(sorted(client.get_policies_list()))
        manifest = client.get_data(f"system/bundles/{BUNDLES['base']}/manifest")["result"]
    except PolicyNotFoundError:
        return Condition(is_healthy, "", (), "no bundle of policies is active")
    except RequestException as error:
        refused = getattr(error.response, "status_code", None) in (401, 403)
        trouble = "it refuses the token" if refused else f"its API failed ({type(error).__name__})"
        return Condition(is_healthy, "", (), trouble)
    revision = str(manifest.get("revision", "")) if isinstance(manifest, dict) else ""
    return Condition(is_healthy, revision, policies, "" if revision else "its bundle has no revision")
