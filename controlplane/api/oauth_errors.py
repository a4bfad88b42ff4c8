"""Errors at ``/oauth/*``: the form and the codes of OAuth (RFC 6749 section 5.2 and those that extend it)."""

from aiohttp import web

from controlplane.api.problems import ProblemError
from controlplane.api.proving import TOKEN_PATH
from controlplane.capabilities.nonces import NONCE_CAUSES
from controlplane.contracts.access import AccessReason
from controlplane.contracts.oauth import ErrorCode, OAuthProblem, describable

PREFIX = "/oauth/"

_BY_STATUS: dict[int, ErrorCode] = {
    403: "insufficient_scope",
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}


class OAuthError(Exception):
    """Ends a request with an OAuth error.

    Attributes:
        document: what is answered.
        status: HTTP status.
        headers: extra response headers.
        cause: for logs and metrics; never shown to the caller.
    """

    def __init__(
        self,
        code: ErrorCode,
        description: str,
        status: int = 400,
        *,
        headers: dict[str, str] | None = None,
        cause: str = "",
        reasons: list[AccessReason] | None = None,
        decision_id: str | None = None,
    ) -> None:
        super().__init__(code)
        self.document = OAuthProblem(
            error=code, error_description=describable(description), reasons=reasons, decision_id=decision_id
        )
        self.status = status
        self.headers = headers or {}
        self.cause = cause


def is_oauth(request: web.Request) -> bool:
    """Whether a request gets its errors in OAuth's form."""
    return request.path.startswith(PREFIX)


def in_oauth_form(request: web.Request, error: ProblemError) -> OAuthError:
    """Return what any other route would answer as a problem document.

    At the token endpoint a proof that does not hold is 400 ``invalid_dpop_proof`` or ``use_dpop_nonce`` (RFC 9449
    sections 5 and 8), and a denial by policy is 400 ``access_denied``, for 400 is what RFC 6749 section 5.2 has for
    whatever does not name another status. At the other endpoints 401 and 403 are as everywhere.
    """
    problem = error.problem
    is_token, cause = request.path == TOKEN_PATH, error.cause
    code, status, headers = _BY_STATUS.get(problem.status, "invalid_request"), problem.status, dict(error.headers)
    if status == 401:
        code = "use_dpop_nonce" if cause in NONCE_CAUSES else "invalid_client"
        if is_token and cause.startswith("proof_"):
            code = "use_dpop_nonce" if cause in NONCE_CAUSES else "invalid_dpop_proof"
            status = 400
            headers.pop("WWW-Authenticate", None)
        elif cause not in NONCE_CAUSES and 'error="invalid_token"' in headers.get("WWW-Authenticate", ""):
            code = "invalid_token"
    elif status == 403 and is_token:
        code, status = "access_denied", 400
    return OAuthError(
        code,
        problem.detail or problem.title,
        status,
        headers=headers,
        cause=cause,
        reasons=problem.reasons,
        decision_id=problem.decision_id,
    )
