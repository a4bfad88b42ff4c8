"""Every kind of problem that this API answers with (RFC 9457 section 4): what it means, and what to do about it.

A kind's URI and title never change: clients switch on them. `docs/problems.md` is written from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PREFIX = "urn:ztfm:problem:"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem.

    Attributes:
        statuses: the HTTP statuses that it comes with; none for any of 400 to 599.
        title: the kind, in words; the same for every occurrence.
        cause: when it is met.
        remedy: what the caller can do.
        retry: whether, and how, the same request may be sent again.
    """

    statuses: tuple[int, ...]
    title: str
    cause: str
    remedy: str
    retry: str = "no"


PROBLEM_TYPES: Mapping[str, ProblemType] = MappingProxyType(
    {
        "invalid-request": ProblemType(
            (400,),
            "The request does not fit its contract",
            "The body is no unambiguous JSON, or a field, parameter or header does not fit; `errors` names the fields.",
            "Correct what is named; the contract is at `/openapi.json`.",
        ),
        "bad-http": ProblemType(
            (400, 413, 414, 431),
            "The request is not well-formed HTTP",
            "What came is no HTTP (RFC 9112), or its header lines are longer than 16 KiB.",
            "Use an HTTP library, and send shorter headers.",
        ),
        "unauthenticated": ProblemType(
            (401,),
            "The request does not prove who sends it",
            "No valid proof of an enrolled key, or another credential that does not hold. The exact cause stays in "
            "the server's log.",
            "Send a fresh DPoP proof (RFC 9449), signed by the enrolled key, for this method and this URL as `detail` "
            "begins it; compare the clock with the header `Date`. `WWW-Authenticate` says what is accepted.",
            "with a fresh proof, once",
        ),
        "denied": ProblemType(
            (403,),
            "Policy denies this request",
            "The caller is known, and policy does not let it do this. `reasons` says what was missing, `decision_id` "
            "names the record.",
            "Follow the remedy of each reason.",
            "after the remedy",
        ),
        "not-found": ProblemType(
            (404,),
            "There is no such thing",
            "No route, or no thing of this name that the caller may know of.",
            "Check the path and the identifier.",
        ),
        "method-not-allowed": ProblemType(
            (405,),
            "The route does not know this method",
            "The path exists, with other methods.",
            "Use one of those that `Allow` names.",
        ),
        "timeout": ProblemType(
            (408,),
            "The body did not arrive in time",
            "The body was not whole within 10 s, a bundle of policies not within 60 s.",
            "Send it again over a better connection.",
            "yes",
        ),
        "conflict": ProblemType(
            (409,),
            "The request conflicts with what is already there",
            "A round of this id exists, a token was used, or a key is enrolled already.",
            "Choose another id, or ask for a new token; if an earlier try of your own may have worked, look before "
            "you try again, or send an `Idempotency-Key`.",
        ),
        "idempotency-in-progress": ProblemType(
            (409,),
            "A request under this key is under way",
            "The same request was sent twice under one `Idempotency-Key`, and the first is not answered yet.",
            "Wait `Retry-After` seconds and send it again under the same key.",
            "after `Retry-After`",
        ),
        "idempotency-answer-gone": ProblemType(
            (409,),
            "The answer under this key no longer holds",
            "The request was carried out before, and its answer cannot be given again: the capability in it has "
            "expired or was revoked, its holder was set apart, or it was too large to be kept.",
            "Ask again under another `Idempotency-Key`, or without one: policy decides anew.",
        ),
        "too-large": ProblemType(
            (413,),
            "The body is too large",
            "The body has more than 128 KiB, more than 4 MiB where many things are listed, or more than 16 MiB of "
            "policies.",
            "Send less at once; reports of updates can be split.",
        ),
        "unsupported-media-type": ProblemType(
            (415,),
            "The body is of another media type",
            "The body is not `application/json` (of a bundle of policies: `application/gzip`), or is compressed.",
            "Send plain JSON with `Content-Type: application/json`, a bundle with its own.",
        ),
        "idempotency-key-reused": ProblemType(
            (422,),
            "The key was used for another request",
            "The caller sent another request under this `Idempotency-Key` within the last ten minutes. The body is "
            "compared byte for byte, with method and path.",
            "Use a new key for each request that is not a repetition.",
        ),
        "policy-refused": ProblemType(
            (422,),
            "The policies are not taken",
            "A bundle of policies is not signed by a trusted key, was changed, claims what another layer owns, does "
            "not compile, or fails its checks or tests. `detail` begins with the word for it. What decided goes on "
            "deciding.",
            "Mend what `detail` says; `ztfm policy check` and `ztfm policy test` find the same before.",
        ),
        "alerts-untimely": ProblemType(
            (422,),
            "The alerts are not of now",
            "All alerts of a delivery began, or were resolved, more than an hour ago, or one is of a time that has not "
            "come. Nothing was decided.",
            "Compare the clocks of Prometheus, Alertmanager and the control plane. What is old, a person looks at.",
        ),
        "certificate-request-refused": ProblemType(
            (422,),
            "The certificate request is not taken",
            "`csr` holds no PKCS #10 request in PEM, its key is not on P-256, or that key did not sign it.",
            "Make it with `openssl req -new -key key.pem`, or leave it out: then the enrolled key is certified.",
        ),
        "secret-unusable": ProblemType(
            (422,),
            "The secret cannot be kept",
            "It is no base64url as it is written without padding, or has fewer than 16 or more than 512 bytes.",
            "Send 32 random bytes in base64url, or leave it out: then one is made that nobody has seen.",
        ),
        "aggregator-unattested": ProblemType(
            (503,),
            "The round's aggregator has not proven its platform",
            "Policy has updates of this model sealed to the aggregator's release key, and no fresh evidence binds one.",
            "Ask again later; whoever runs the aggregator attests it with a release key (`docs/key-release.md`).",
            "after a while",
        ),
        "release-key-unusable": ProblemType(
            (409,),
            "The secret cannot be sealed to this platform",
            "Policy lets it go, and what the evidence binds is no key of its suite. Nothing was released.",
            "Attest again with a fresh release key, such as the SDK makes.",
        ),
        "evidence-unusable": ProblemType(
            (422,),
            "The evidence cannot be taken",
            "Evidence of its kind is not verified here, nobody vouches for the platform that the challenge is asked "
            "for, or the release key is no key of its suite. Nothing was decided.",
            "Do what `detail` says: it names the kinds that are verified here.",
        ),
        "no-policy-tools": ProblemType(
            (501,),
            "This installation cannot try policies",
            "The workbench and the explanation of decisions need an `opa` program beside the control plane, and none "
            "was found: the embedded engine decides without one.",
            "Install Open Policy Agent as `detail` says, or use `ztfm policy` on a machine that has it.",
        ),
        "too-many-requests": ProblemType(
            (429,),
            "Too many requests",
            "The caller asked more often than it may.",
            "Wait `Retry-After` seconds.",
            "after `Retry-After`",
        ),
        "budget-exhausted": ProblemType(
            (429,),
            "A budget of inference has no room",
            "The budget of the subject, the model or the segment has less left in its current hour or day than the "
            "request needs; `reasons` says whose. Nothing was leased.",
            "Wait `Retry-After` seconds, until the window ends. Shorter answers need less.",
            "after `Retry-After`",
        ),
        "http": ProblemType(
            (),
            "The request cannot be served",
            "HTTP itself refuses it, such as an expectation (417) that this server does not meet.",
            "See the status and RFC 9110.",
        ),
        "internal": ProblemType(
            (500,),
            "The control plane met an unexpected fault",
            "A fault of the server, which its log describes. Nothing was granted.",
            "Tell the operator the time and your `X-Request-ID`.",
            "with care: what was asked may have been recorded",
        ),
        "unavailable": ProblemType(
            (503,),
            "No decision can be given now",
            "Policy, the store or the record cannot be used. Nothing was granted.",
            "Wait `Retry-After` seconds; the operator finds the part at `/readyz`.",
            "after `Retry-After`",
        ),
    }
)
"""The kinds by the last part of their URI. Append only: a kind is never renamed, retitled or taken out."""


def uri(kind: str) -> str:
    """Return the type URI of a kind."""
    return PREFIX + kind


def kinds_of(status: int) -> list[str]:
    """Return the kinds that come with an HTTP status, those of any status last."""
    exact = [kind for kind, known in PROBLEM_TYPES.items() if status in known.statuses]
    return exact or [kind for kind, known in PROBLEM_TYPES.items() if not known.statuses]
