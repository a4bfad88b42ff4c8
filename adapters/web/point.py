"""An HTTP enforcement point: says of each request whether it may go on, and what the capability behind it allows."""

import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from adapters.enrolment import load_identity, load_key
from adapters.feed import RevocationFeed
from adapters.keys import TRUSTED_SECONDS, KeySource, published_at
from adapters.plane import ControlPlane
from adapters.signals import Reporter, Signals
from adapters.transport import Transport
from adapters.web import answering
from adapters.web.admission import Admitted, Exempt
from adapters.web.answering import Refusal
from adapters.web.presented import Asked, Shown, body_bytes, shown_by
from adapters.web.remedies import REMEDIES
from adapters.web.rules import Named, Rule, is_plain
from controlplane.capabilities.limits import exceeded
from controlplane.capabilities.proof import Proof, ProofVerifier
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.revocations import Standings
from controlplane.capabilities.targets import normal_target
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims
from controlplane.jose.jws import parse, parse_object, read_header

_MISUSE = frozenset({"wrong_action", "wrong_resource", "wrong_round", "wrong_digest", "wrong_segment", "wrong_shards"})
_FIRST_WORD_SECONDS = 5.0

Lapse = Literal["expired", "revoked", "revocations_unknown"]
"""Why what was let through may go on no longer."""

_log = logging.getLogger("ztfm.point")


class Revocations(Standings, Protocol):
    """Follows revocations: `adapters.revocations.RevocationFeed`, or `StatusListPoller`."""

    async def start(self, wait_seconds: float = 0.0) -> bool:
        """Follow them from now on; return whether they are known within ``wait_seconds``."""
        ...

    async def close(self) -> None:
        """Follow them no longer."""
        ...


class EnforcementPoint:
    """Guards an HTTP endpoint. Belongs to one event loop; several processes may each have one.

    Args:
        control_plane: its public URL: whose capabilities are accepted, and where the keys to verify them are.
        audience: the name of this endpoint; capabilities must be for it.
        public_url: how callers reach the application, up to its paths. Proofs are compared with this, and never with
            what a request says of its host.
        rules: what requests need; the first that fits a path counts, and a path that none fits is not found.
        exempt: paths that everybody may call, such as a health check; compared whole.
        segment: from which all requests come; only capabilities for that one are taken. None where that is not known.
        revocations: knows which capabilities were revoked (`adapters.revocations`), started and closed with this
            point; none trusts each capability to its end.
        first_use: asked for each capability that works once, with its id and expiry (Unix seconds); returns whether
            this is its first use. Several processes need one that they share; none remembers in this process.
        certificates: capabilities that are bound to a client certificate are taken as well, over TLS connections that
            are made with it and end in this process (RFC 8705).
        signals: collects how callers use the model (`adapters.signals`); none collects nothing. Points that were opened
            with `open` report it.
        on_outcome: called with an action and ``allowed`` or a cause, both of closed vocabularies, for each request.
        trusted_seconds: how long the published keys are trusted while the control plane cannot be reached.
        tls: how the TLS connection to the control plane is verified; none for the system's authorities.
        socket: Unix socket of the control plane.
        clock: Unix seconds.

    Raises:
        ValueError: no rule, or an audience or address that cannot be one.
    """

    def __init__(
        self,
        control_plane: str,
        *,
        audience: str,
        public_url: str,
        rules: Sequence[Rule],
        exempt: Collection[str] = (),
        segment: str | None = None,
        revocations: Revocations | None = None,
        first_use: Callable[[str, float], Awaitable[bool]] | None = None,
        certificates: bool = False,
        signals: Signals | None = None,
        on_outcome: Callable[[str, str], None] = lambda _action, _outcome: None,
        trusted_seconds: float = TRUSTED_SECONDS,
        tls: ssl.SSLContext | None = None,
        socket: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not rules:
            raise ValueError("an enforcement point without rules would let nothing through, or hide a mistake")
        if normal_target(public_url) is None or "?" in public_url or "#" in public_url:
            raise ValueError(f"{public_url!r} is no absolute URL")
        if not all(is_plain(path) for path in exempt):
            raise ValueError("an exempt path is a plain absolute path, and compared whole")
        issuer = control_plane.rstrip("/")
        self.clock = clock
        self.takes_certificates = certificates
        self._public_url = public_url.rstrip("/")
        self._audience = audience
        self._told: set[str] = set()
        self._rules = tuple(rules)
        self._exempt = frozenset(exempt)
        self._segment = segment
        self._first_use = first_use
        self._on_outcome = on_outcome
        self._proofs = ProofVerifier(clock)
        self._verifier = CapabilityVerifier(
            {"keys": []}, issuer, audience, clock, proofs=self._proofs, standings=revocations
        )
        self._transport = Transport(tls=tls, socket=socket)
        self._keys = KeySource(
            published_at(issuer, self._transport), self._verifier.update_keys, trusted_seconds=trusted_seconds
        )
        self._revocations = revocations
        self.signals = signals
        self._reporter: Reporter | None = None
        self._plane: ControlPlane | None = None
        self._is_started = False

    @classmethod
    def open(cls, folder: Path, **options: Any) -> Self:
        """Return the point of a gateway that was enrolled in ``folder`` (`Member.enrol`): it follows revocations.

        What is revoked is refused within a second, and everything is when nothing was heard from the control plane
        for ten seconds. With ``signals`` it reports how callers use the model.

        Args:
            folder: with its key and identity.
            options: the arguments of the constructor, less ``control_plane`` and ``revocations``.

        Raises:
            FileNotFoundError: none was enrolled there.
            KeyFileError: its key or identity cannot be used.
            ValueError: as the constructor.
        """
        identity = load_identity(folder)
        reached = {name: options[name] for name in ("tls", "socket", "clock") if name in options}
        plane = ControlPlane(identity.url, load_key(folder), **reached)
        feed = RevocationFeed(plane, issuer=identity.issuer, clock=plane.clock)
        point = cls(identity.issuer, revocations=feed, **options)
        point._plane = plane
        if point.signals is not None:
            point._reporter = Reporter(plane, point.signals)
        return point

    async def start(self) -> bool:
        """Fetch the keys and hear of revocations ahead of the first request, and return whether both came."""
        self._is_started = True
        if self._reporter is not None:
            await self._reporter.start()
        is_current = self._revocations is None or await self._revocations.start(_FIRST_WORD_SECONDS)
        return await self._keys.ready() and is_current

    async def close(self) -> None:
        """Give back the connections."""
        if self._reporter is not None:
            await self._reporter.close()
        if self._revocations is not None:
            await self._revocations.close()
        if self._plane is not None:
            await self._plane.close()
        await self._keys.close()
        await self._transport.close()

    async def check(
        self, asked: Asked, further: Callable[[Admitted], Awaitable[Refusal | None]] | None = None
    ) -> Admitted | Exempt | Refusal:
        """Return what becomes of a request. A capability that works once is used up by being let through.

        Args:
            asked: the request.
            further: asked about one that may go on; returns why it may not all the same. What it says is counted.
        """
        if not self._is_started:
            # An ASGI server may know no lifespan; without revocations nothing would ever be let through.
            await self.start()
        if not is_plain(asked.path):
            return self._counted("none", answering.crooked())
        if asked.path in self._exempt:
            return Exempt()
        found = next(((rule, named) for rule in self._rules if (named := rule.names(asked.path))), None)
        if found is None:
            return self._counted("none", answering.unknown())
        rule, named = found
        verdict = self._unfit(asked, rule) or await self._verify(asked, rule, named)
        if isinstance(verdict, Admitted) and further is not None:
            verdict = await further(verdict) or verdict
        return self._counted(rule.action, verdict)

    def lapsed(self, admitted: Admitted) -> Lapse | None:
        """Return why a request that was let through may go on no longer, or none while its capability still holds.

        For answers that take a while: a stream is asked about several times a second. Costs microseconds.
        """
        if not self.clock() < admitted.claims.exp:
            return "expired"
        if self._revocations is None:
            return None
        standing = self._revocations.standing(admitted.claims, admitted.kid) if admitted.kid is not None else "unknown"
        if standing == "good":
            return None
        return "revoked" if standing == "revoked" else "revocations_unknown"

    def exceeded(self, admitted: Admitted, size: int) -> Refusal | None:
        """Return what an answer of ``size`` bytes is replaced by, or none when the capability reaches that far."""
        too_large = exceeded(admitted.limits, size_bytes=size) if admitted.rule.action == "model_access" else None
        if too_large is None:
            return None
        refusal = self._forbidden(too_large, admitted.rule, admitted.named)
        self._counted(admitted.rule.action, refusal)
        return refusal

    def _unfit(self, asked: Asked, rule: Rule) -> Refusal | None:
        if rule.methods is not None and asked.method not in rule.methods:
            return answering.wrong_method(rule.methods)
        size = body_bytes(asked)
        if size is None:
            return answering.unsized()
        return answering.too_large(rule.max_body_bytes) if size > rule.max_body_bytes else None

    async def _verify(self, asked: Asked, rule: Rule, named: Named) -> Admitted | Refusal:
        shown = shown_by(asked)
        if shown == "missing":
            return self._unauthenticated("no_capability", None, asked)
        if shown == "ambiguous":
            return answering.ambiguous("ambiguous", takes_certificates=self.takes_certificates)
        if not await self._keys.ready():
            return answering.unavailable("keys_lost")
        verdict = self._claims(asked, shown, rule, named)
        if isinstance(verdict, Refused) and verdict.cause == "unknown_key" and await self._keys.renew():
            verdict = self._claims(asked, shown, rule, named)
        if isinstance(verdict, Refused):
            return self._refusal(verdict, asked, shown, rule, named)
        beyond = _beyond(verdict.detail, asked, rule, named)
        if beyond is not None:
            return self._forbidden(beyond, rule, named)
        if verdict.detail.constraints.one_time and not await self._is_first_use(verdict):
            return answering.used_up()
        return Admitted(verdict, named, rule, read_header(shown.token)["kid"])

    def _claims(self, asked: Asked, shown: Shown, rule: Rule, named: Named) -> CapabilityClaims | Refused:
        return self._verifier.verify(
            shown.token,
            proof=shown.proof,
            certificate=shown.certificate,
            method=asked.method,
            url=self._public_url + asked.path,
            action=rule.action,
            resource_id=named.resource,
            round_id=named.round_id,
            model_digest=named.digest,
            segment=self._segment,
            shards=() if rule.by_shards else None,
        )

    def _unauthenticated(self, cause: str, error: str | None, asked: Asked) -> Refusal:
        return answering.unauthenticated(
            cause,
            error,
            takes_certificates=self.takes_certificates,
            audience=self._audience,
            method=asked.method,
            url=self._public_url + asked.path,
        )

    def _forbidden(self, refused: Refused, rule: Rule, named: Named) -> Refusal:
        purpose = f", for {rule.purpose}" if rule.purpose else ""
        detail = f"{refused.detail} This path needs one for {rule.action} of {named.resource}{purpose}."
        return answering.forbidden(refused.cause, detail, takes_certificates=self.takes_certificates)

    async def _is_first_use(self, claims: CapabilityClaims) -> bool:
        return self._first_use is None or await self._first_use(claims.jti, claims.exp)

    def _refusal(self, refused: Refused, asked: Asked, shown: Shown, rule: Rule, named: Named) -> Refusal:
        cause: str = refused.cause
        if cause in _MISUSE:
            unproven = self._unproven(asked, shown)
            if unproven is None:
                return self._forbidden(refused, rule, named)
            cause = unproven
        if cause == "revocations_unknown":
            return answering.unavailable(cause)
        if cause == "replayed":
            return answering.used_up()
        error = "invalid_dpop_proof" if cause.startswith("proof_") or cause == "wrong_key" else "invalid_token"
        return self._unauthenticated(cause, error, asked)

    def _unproven(self, asked: Asked, shown: Shown) -> str | None:
        """Return why the holder of a genuine capability is not proven: only a holder is told what it does not reach."""
        bound = _confirmation(shown.token)
        if shown.certificate is not None:
            return None if bound.get("x5t#S256") == shown.certificate else "wrong_certificate"
        if shown.proof is None or not isinstance(bound.get("jkt"), str):
            return "proof_missing"
        url = self._public_url + asked.path
        verdict = self._proofs.verify(
            shown.proof, method=asked.method, url=url, access_token=shown.token, thumbprint=bound["jkt"]
        )
        return None if isinstance(verdict, Proof) else verdict.cause

    def _counted(self, action: str, verdict: Admitted | Refusal) -> Admitted | Refusal:
        cause = verdict.cause if isinstance(verdict, Refusal) else "allowed"
        self._on_outcome(action, cause)
        if isinstance(verdict, Refusal):
            self._tell(action, verdict.status, cause)
        return verdict

    def _tell(self, action: str, status: int, cause: str) -> None:
        """Log a refusal; the first of each cause loudly, with its remedy. Nobody can fill a log with these."""
        if cause in self._told or cause not in REMEDIES:
            _log.info("refused %s: %d, %s", action, status, cause)
            return
        self._told.add(cause)
        _log.warning("refused %s: %d, %s: %s", action, status, cause, REMEDIES[cause])


def _beyond(detail: AuthorizationDetail, asked: Asked, rule: Rule, named: Named) -> Refused | None:
    """Return what of a capability that holds does not reach this far, beside what its verifier compares."""
    limits = detail.constraints
    if detail.resource_type != rule.resource_type:
        return Refused("wrong_resource", "The capability is for another type of resource.")
    if limits.purpose != rule.purpose:
        return Refused("wrong_purpose", "The capability is for another purpose.")
    if limits.model_digest is None and named.digest is not None:
        return Refused("wrong_digest", "The capability does not name the weights.")
    return exceeded(limits, size_bytes=body_bytes(asked))


def _confirmation(token: str) -> dict[str, Any]:
    parsed = parse(token)
    try:
        found = parse_object(parsed.payload).get("cnf") if parsed else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
