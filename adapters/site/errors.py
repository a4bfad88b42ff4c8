"""What a site says no with, and what is wrong where it cannot say anything, which is a no too."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from adapters.errors import Denied
from controlplane.contracts.access import AccessReason

FAULTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "facts_malformed": (
            "What the server asks for does not have the form of a question to the site.",
            "Compare the versions of both sides.",
        ),
        "policy_missing": (
            "The site's folder holds no policy.",
            "Put a signed bundle into policy.tar.gz: docs/site-veto.md.",
        ),
        "policy_refused": (
            "The site's policy is not signed by who is trusted in its folder, or is not whole.",
            "Build and sign it again, and see ztfm site check.",
        ),
        "folder_open": (
            "Others than its owner can change the site's folder.",
            "Take the rights of group and others to write away: chmod -R go-w.",
        ),
        "engine_missing": (
            "The engine for policies is not installed here.",
            "pip install 'ztfm[embedded]'.",
        ),
        "policy_silent": (
            "The site's policy gives no answer to this.",
            "Let its batch answer model_in and update_out: ztfm policy test --layer site.",
        ),
        "policy_late": (
            "The site's policy gave no answer in time.",
            "Make its rules cheaper; a decision has one second.",
        ),
        "policy_failed": (
            "The site's policy failed.",
            "See ztfm policy eval --layer site with the facts of ztfm site log.",
        ),
        "policy_malformed": (
            "The site's policy gave an answer that is none, or requires nothing.",
            "Answer with required and proven, and have something required: docs/site-veto.md.",
        ),
        "ledger_unavailable": (
            "What was spent of the privacy budget cannot be read or written.",
            "See that state/ of the site's folder can be written, and that its disk has room.",
        ),
        "log_unavailable": (
            "The decision cannot be put on the site's record.",
            "See that state/ of the site's folder can be written, and ztfm site log --verify.",
        ),
        "bytes_exceeded": (
            "The model is larger than the site lets in, or nobody says how large it is.",
            "Have its size told with Member.expect, or raise max_bytes in the site's limits.",
        ),
        "norm_exceeded": (
            "The update's norm is above what the site lets out, or was not told.",
            "Clip it to max_norm (Member.allowance), and tell its norm with Member.describe.",
        ),
        "examples_exceeded": (
            "More examples are behind the update than the site lets, or their number was not told.",
            "Train on max_examples at most (Member.allowance), and tell their number with Member.describe.",
        ),
        "epsilon_exceeded": (
            "The update spends more of the privacy budget than the site lets, or does not say how much.",
            "Train at the epsilon of Member.allowance, and tell it with Member.describe.",
        ),
    }
)
"""Message and remedy of each code that is not the policy's own."""


class SiteFault(Exception):  # noqa: N818 - a state, as callers see it
    """A site cannot decide, which is a veto.

    Attributes:
        code: one of `FAULTS`.
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{FAULTS[code][0]} {why}".rstrip())
        self.code = code


class Vetoed(Denied):
    """The site's own policy does not let this. The server's side cannot change that; the site's owner can.

    Adapters take it for what any denial is: the device declines, and the round goes on.
    """

    def __init__(self, reasons: Sequence[AccessReason]) -> None:
        shown = " ".join(f"{reason.code}: {reason.message} {reason.remedy}" for reason in reasons)
        super().__init__(f"the site does not let this. {shown}".rstrip(), status=0, reasons=reasons)


def fault_reason(code: str) -> AccessReason:
    """Return the reason for one of `FAULTS`."""
    message, remedy = FAULTS[code]
    return AccessReason(code=f"site:{code}", message=message, remedy=remedy)
