"""The policies of all layers as one engine without OPA: each layer's own answers, then their combination."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.bundles.embedded import CompiledPolicy, EmbeddedFault, NotLoadable
from controlplane.bundles.errors import BundleRefused
from controlplane.bundles.instances import EmbeddedLimits
from controlplane.bundles.layout import DATA, ENTRYPOINTS, MANIFEST, WASM
from controlplane.bundles.verification import VerifiedBundle
from controlplane.contracts.policies import PolicyLayer

COMBINATION = "combined/narrowed"
"""What ``opa/layers.rego`` is asked, as a path."""

_NAMES: Mapping[PolicyLayer, str] = {"base": "ztfm", "tenant": "tenant", "site": "site"}


@dataclass(frozen=True, slots=True)
class EmbeddedAnswer:
    """Documents by question id, and the revision of the policies that decided. Undefined documents are absent."""

    documents: Mapping[str, Any]
    revision: str


class LoadedBundle:
    """A verified bundle that can be asked.

    Args:
        verified: what to evaluate.
        limits: the bounds.

    Raises:
        BundleRefused: ``cannot_be_checked``: it brings nothing that can be evaluated without OPA, or calls a builtin
            that is not provided; ``malformed``: its data cannot be read.
    """

    def __init__(self, verified: VerifiedBundle, limits: EmbeddedLimits | None = None) -> None:
        self.layer = verified.layer
        self.revision = verified.revision
        if WASM not in verified.files:
            raise BundleRefused(
                "cannot_be_checked",
                f"the bundle has no {WASM}, and no OPA evaluates it here: build it without --no-wasm",
            )
        try:
            data = json.loads(verified.files.get(DATA, b"{}"))
            manifest = json.loads(verified.files[MANIFEST])
            active = {"system": {"bundles": {_NAMES[self.layer]: {"manifest": manifest}}}}
            self._policy = CompiledPolicy(verified.files[WASM], {**data, **active}, limits)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise BundleRefused("malformed", f"{DATA} or {MANIFEST} of the bundle cannot be read") from None
        except NotLoadable as error:
            raise BundleRefused("cannot_be_checked", str(error)) from None
        own = data.get(self.layer)
        self._texts = own.get("reasons", {}) if isinstance(own, dict) else {}

    def answers(self, facts: bytes) -> Any:
        """Return the layer's answers by question id to a batch of facts.

        Raises:
            EmbeddedFault: there are none.
        """
        return self._policy.ask(ENTRYPOINTS[self.layer], facts)

    def texts(self) -> Any:
        """Return the layer's texts of reasons by code: from its data, or of an entry point ``<layer>/reasons``."""
        path = f"{self.layer}/reasons"
        return self._policy.ask(path, b"{}") if path in self._policy.entrypoints else self._texts

    def close(self) -> None:
        """Give its memory back."""
        self._policy.close()


class EmbeddedPolicies:
    """What decides, all layers together. Immutable: a new release makes a new one.

    Args:
        bundles: by layer; the base among them. It closes none of them.
        expected: the layers beside the base that must consent; without a bundle of one of them, everything is denied.
        combination: ``opa/layers.rego``, compiled; needed with layers.
    """

    def __init__(
        self,
        bundles: Mapping[PolicyLayer, LoadedBundle],
        expected: Sequence[PolicyLayer] = (),
        combination: CompiledPolicy | None = None,
    ) -> None:
        if expected and combination is None:
            raise NotLoadable("layers are to decide, and what combines them is not there")
        self._bundles = dict(bundles)
        self._expected = tuple(expected)
        self._combination = combination

    def answer(self, facts: bytes) -> EmbeddedAnswer:
        """Answer a batch of facts by package and question id, as ``data.combined.batch`` does.

        Blocking: for as long as the limits let each layer, and the combination, run.

        Raises:
            EmbeddedFault: there is no answer; what was asked is denied.
        """
        base = self._bundles.get("base")
        if base is None:
            raise EmbeddedFault("undefined", "no verified policies are active")
        decisions = base.answers(facts)
        if not isinstance(decisions, dict):
            raise EmbeddedFault("malformed", "the policies answered with something else than decisions")
        if not self._expected or self._combination is None:
            return EmbeddedAnswer(_ordered(decisions), base.revision)
        question = {
            "revision": base.revision,
            "decisions": decisions,
            "expected": self._expected,
            "layers": {name: said for name in self._expected if (said := self._said(name, facts)) is not None},
        }
        combined = self._combination.ask(COMBINATION, json.dumps(question).encode())
        return _read_combined(combined)

    def _said(self, layer: PolicyLayer, facts: bytes) -> dict[str, Any] | None:
        bundle = self._bundles.get(layer)
        if bundle is None:
            return None
        said: dict[str, Any] = {"revision": bundle.revision}
        try:
            said["answers"] = bundle.answers(facts)
            said["reasons"] = bundle.texts()
        except EmbeddedFault as fault:
            if fault.cause != "undefined":
                raise
            # What it leaves undefined is for the combination to deny, as it is in OPA.
        return said


def _read_combined(combined: Any) -> EmbeddedAnswer:
    revision = combined.get("revision") if isinstance(combined, dict) else None
    decisions = combined.get("decisions") if isinstance(combined, dict) else None
    if not isinstance(revision, str) or not revision or not isinstance(decisions, dict):
        raise EmbeddedFault("undefined", "the layers could not be combined")
    return EmbeddedAnswer(_ordered(decisions), revision)


def _ordered(decisions: dict[str, Any]) -> dict[str, Any]:
    # OPA gives sets in order, WebAssembly as they lie in memory; records of the same decision are to be the same.
    for decision in decisions.values():
        if isinstance(decision, dict):
            obligations = decision.get("obligations")
            _sort(decision, "rules")
            _sort(obligations, "exceptions")
            _sort(obligations, "waived")
    return decisions


def _sort(holder: Any, name: str) -> None:
    values = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        values.sort()
