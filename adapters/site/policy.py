"""The policy of a site: the signed bundle that lies in the site's own folder, evaluated in this process.

What is evaluated follows from the folder alone. Nothing here takes anything that a server said but the facts, which the
policy is asked about.
"""

import atexit
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.site.errors import SiteFault
from controlplane.bundles import BundleRefused, PolicyKeyError, Trust, VerifiedBundle, verify
from controlplane.bundles.layout import DATA, ENTRYPOINTS, MANIFEST, WASM
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.site import SiteActionName, SiteAnswer, SiteLimits

BUNDLE = "policy.tar.gz"
TRUST = "trust"
LAYER: PolicyLayer = "site"
LIMITS = "site/limits"
"""A package that is asked for limits, where the bundle has one; it is marked as an entry point."""

SECONDS = 1.0
"""An evaluation that takes longer is stopped."""

_MAX_BUNDLE_BYTES = 16 * 1024 * 1024
_KEPT = 4
_OTHERS_WRITE = 0o022


@dataclass(frozen=True)
class Answered:
    """What the policy says of one question."""

    answer: SiteAnswer
    limits: SiteLimits


class SitePolicy:
    """A verified policy of a site, ready to be asked. Safe to call from threads.

    Args:
        verified: the bundle.

    Attributes:
        digest: of the bundle as it lies in the folder.
        revision: as its signature names it.

    Raises:
        SiteFault: it cannot be evaluated here.
    """

    def __init__(self, verified: VerifiedBundle) -> None:
        self.digest, self.revision, self.key_id = verified.digest, verified.revision, verified.key_id
        self._policy = _compiled(verified)
        self.texts = _texts(verified)

    def ask(self, action: SiteActionName, facts: bytes) -> Answered:
        """Return the policy's answer and limits for facts, a JSON object.

        Raises:
            SiteFault: there is none: undefined, failed, late, or of another form.
        """
        question = b'{"' + action.encode() + b'":{"0":' + facts + b"}}"
        answer = self._document(ENTRYPOINTS[LAYER], question)
        limits: Any = {}
        if self.sets_limits:
            found = self._document(LIMITS, question)
            limits = _named(found.get("answers") if isinstance(found, dict) else None)
        try:
            return Answered(SiteAnswer.model_validate(_named(answer)), SiteLimits.model_validate(limits))
        except ValidationError as error:
            raise SiteFault("policy_malformed", _said(error)) from None

    @property
    def sets_limits(self) -> bool:
        """Whether the bundle brings a package of limits."""
        return LIMITS in self._policy.entrypoints

    def close(self) -> None:
        """Give its memory back."""
        self._policy.close()

    def _document(self, entrypoint: str, question: bytes) -> Any:
        from controlplane.bundles.embedded import EmbeddedFault

        try:
            return self._policy.ask(entrypoint, question)
        except EmbeddedFault as fault:
            code = {"deadline": "policy_late", "undefined": "policy_silent"}.get(fault.cause)
            raise SiteFault(code or "policy_failed", str(fault)) from None


def _compiled(verified: VerifiedBundle) -> Any:
    try:
        from controlplane.bundles.embedded import CompiledPolicy, NotLoadable
        from controlplane.bundles.instances import EmbeddedLimits
    except ImportError as error:
        raise SiteFault("engine_missing", str(error)) from None
    if WASM not in verified.files:
        raise SiteFault("policy_refused", f"It brings no {WASM}: build it without --no-wasm.")
    try:
        data = json.loads(verified.files.get(DATA, b"{}"))
        active = {"system": {"bundles": {LAYER: {"manifest": json.loads(verified.files[MANIFEST])}}}}
        limits = EmbeddedLimits(instances=2, seconds=SECONDS)
        return CompiledPolicy(verified.files[WASM], {**data, **active}, limits)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SiteFault("policy_refused", f"Its data cannot be read: {error}") from None
    except NotLoadable as error:
        raise SiteFault("policy_refused", str(error)) from None


def _texts(verified: VerifiedBundle) -> Mapping[str, Any]:
    data = json.loads(verified.files.get(DATA, b"{}"))
    own = data.get(LAYER)
    found = own.get("reasons") if isinstance(own, dict) else None
    return found if isinstance(found, dict) else {}


def _named(answers: Any) -> Any:
    """Return the answer to the one question; none is no answer."""
    if not isinstance(answers, dict) or "0" not in answers:
        raise SiteFault("policy_silent", "")
    return answers["0"]


def _said(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:4]
    )


_loaded: OrderedDict[tuple[int, str, tuple[str, ...]], SitePolicy] = OrderedDict()
_lock = threading.Lock()


@atexit.register
def _close_all() -> None:
    """Stop what evaluates before the interpreter takes its parts away."""
    with _lock:
        own = [policy for (pid, _, _), policy in _loaded.items() if pid == os.getpid()]
        _loaded.clear()
    for policy in own:
        policy.close()


def load(folder: Path) -> SitePolicy:
    """Return the policy of a site's folder as it lies there now; the same bytes are compiled once in a process.

    Args:
        folder: with ``policy.tar.gz``, and ``trust/site/*.pem``: the public keys of whoever signs for this site.

    Raises:
        SiteFault: there is none that may decide.
    """
    body, trust = _read(folder)
    # Threads of an engine do not live on in a process that was forked off.
    name = (os.getpid(), hashlib.sha256(body).hexdigest(), tuple(sorted(trust.keys(LAYER))))
    with _lock:
        found = _loaded.get(name)
        if found is None:
            try:
                verified = verify(body, trust, LAYER)
            except BundleRefused as refusal:
                raise SiteFault("policy_refused", str(refusal)) from None
            found = _loaded[name] = SitePolicy(verified)
        _loaded.move_to_end(name)
        while len(_loaded) > _KEPT:
            (pid, _, _), old = _loaded.popitem(last=False)
            if pid == os.getpid():
                old.close()
        return found


def _read(folder: Path) -> tuple[bytes, Trust]:
    path = folder / BUNDLE
    try:
        _require_closed(folder)
        with path.open("rb") as file:
            body = file.read(_MAX_BUNDLE_BYTES + 1)
        return body, Trust.of_folder(folder / TRUST)
    except FileNotFoundError:
        raise SiteFault("policy_missing", f"{path} is not there.") from None
    except OSError as error:
        raise SiteFault("policy_missing", f"{error.filename or path}: {error.strerror}") from None
    except PolicyKeyError as error:
        raise SiteFault("policy_refused", str(error)) from None


def _require_closed(folder: Path) -> None:
    """Return when nobody else can change what decides.

    Raises:
        SiteFault: group or others may.
        OSError: it cannot be looked at.
    """
    for path in (folder, folder / BUNDLE, folder / TRUST, folder / TRUST / LAYER, *(folder / TRUST).rglob("*.pem")):
        if path.exists() and path.stat().st_mode & _OTHERS_WRITE:
            raise SiteFault("folder_open", f"{path} has mode {path.stat().st_mode & 0o7777:04o}.")
