"""A round while it is open: who sent what, and how often each tried."""

import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.credentials import Credentials
from adapters.guard import SealedRound, Submission
from adapters.jobs.checked import CheckedFile
from adapters.jobs.summing import Sums
from adapters.jobs.tensorfile import StoredTensor
from adapters.screening import read

_HEADER_ROOM_BYTES = 64 * 1024
"""What an update's file may be longer than the weights' file: its header may be written otherwise."""

_NAMED = 64


@dataclass(frozen=True)
class Taken:
    """An update that was taken in; the guard has not ruled on it.

    Attributes:
        subject: whose it is.
        path: its file.
        digest: of its tensors.
        size_bytes: of its values.
        examples: training examples behind it, as the device claims.
        credentials: what came with it, or the fresh ones that were shown later.
        sealed_to: digest of the key of this aggregator that it came sealed to; none where it came in the clear.
    """

    subject: str
    path: Path
    digest: str
    size_bytes: int
    examples: int
    credentials: Credentials
    sealed_to: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What a member sent and was refused for. Unless it sends something better, the guard rules on it.

    Attributes:
        subject: whose it is.
        examples: as the device claims.
        credentials: as they were shown.
        path: of the update, where it came whole and could be read; else none.
        sealed_to: as of `Taken`.
    """

    subject: str
    examples: int
    credentials: Credentials
    path: Path | None = None
    sealed_to: str | None = None


@dataclass
class OpenRound:
    """A round from its opening until it is judged.

    Attributes:
        sealed: what is fixed.
        served: the file that members pull.
        folder: where updates are put.
        closes_at: Unix seconds.
        deadline: the same on the event loop's clock.
        taken: updates by subject.
        refused: what was refused last, by subject.
        sending: subjects whose update is on its way.
        stale: subjects who are asked for fresh credentials.
        is_closed: nothing more is taken in.
        tries: requests by subject and kind.
        sums: of its groups, where sums of groups alone are seen; else none.
    """

    sealed: SealedRound
    served: CheckedFile
    folder: Path
    closes_at: float
    deadline: float
    taken: dict[str, Taken] = field(default_factory=dict)
    refused: dict[str, Attempt] = field(default_factory=dict)
    sending: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    is_closed: bool = False
    tries: Counter[tuple[str, str]] = field(default_factory=Counter)
    sums: Sums | None = None

    def __post_init__(self) -> None:
        """Read off what updates must look like."""
        tensors = self.sealed.manifest.tensors
        self._forms = {
            name: f"{str(spec.dtype).removeprefix('torch.')}[{','.join(map(str, spec.shape))}]"
            for name, spec in tensors.items()
        }
        self.limit_bytes = self.served.size_bytes + _HEADER_ROOM_BYTES

    @property
    def id(self) -> str:
        """The round's name."""
        return self.sealed.terms.round_id

    @property
    def came(self) -> list[str]:
        """Members who sent an update, or took part in a sum."""
        return list(self.taken) if self.sums is None else self.sums.came

    @property
    def is_complete(self) -> bool:
        """Whether every member sent its update."""
        return len(self.taken) >= len(self.sealed.members)

    @property
    def etag(self) -> str:
        """The entity tag of the weights (RFC 9110 section 8.8.3): their digest."""
        return f'"{self.sealed.terms.model_digest}"'

    def new_path(self) -> Path:
        """Return where an update that arrives is put."""
        return self.folder / f"{secrets.token_hex(12)}.safetensors"

    def misfit(self, stored: list[StoredTensor]) -> str:
        """Return what of a file's tensors does not fit, or nothing."""
        found = {tensor.name: tensor.form for tensor in stored}
        for name, form in self._forms.items():
            if found.get(name) != form:
                return f"It needs {name[:_NAMED]} as {form}."
        return "" if len(found) == len(self._forms) else f"It has {len(found)} tensors, not {len(self._forms)}."

    def renew(self, subject: str, credentials: Credentials) -> None:
        """Put fresh credentials in the place of those that an update came with."""
        self.taken[subject] = replace(self.taken[subject], credentials=credentials)
        self.stale.discard(subject)

    def submissions(self) -> list[Submission]:
        """Return what the guard rules on; the tensors are mapped from their files, not read."""
        taken = [
            Submission(one.subject, read(one.path), one.examples, one.credentials, one.sealed_to)
            for one in self.taken.values()
        ]
        refused = [
            Submission(
                one.subject, {} if one.path is None else read(one.path), one.examples, one.credentials, one.sealed_to
            )
            for one in self.refused.values()
        ]
        return taken + refused

    def take(self, taken: Taken) -> None:
        """Take an update in; what the member was refused for before is forgotten."""
        self._forget(taken.subject)
        self.taken[taken.subject] = taken

    def refuse(self, attempt: Attempt) -> None:
        """Remember what was refused; of each member, the last."""
        self._forget(attempt.subject)
        self.refused[attempt.subject] = attempt

    def _forget(self, subject: str) -> None:
        before = self.refused.pop(subject, None)
        if before is not None and before.path is not None:
            before.path.unlink(missing_ok=True)

    @property
    def absent(self) -> list[str]:
        """Members who sent nothing that the guard could rule on."""
        return [one for one in self.sealed.members if one not in self.taken and one not in self.refused]

    def notice(self) -> dict[str, Any]:
        """Return what everybody may know of the round."""
        terms, tensors = self.sealed.terms, self.sealed.manifest.tensors
        hidden = {} if self.sums is None else {"confidentiality": self.sealed.confidentiality}
        return {
            **hidden,
            "round_id": terms.round_id,
            "model_digest": terms.model_digest,
            "size_bytes": self.served.size_bytes,
            "max_update_bytes": self.limit_bytes,
            "closes_at": self.closes_at,
            "members": len(self.sealed.members),
            "tensors": [
                {"name": name, "dtype": str(spec.dtype).removeprefix("torch."), "shape": list(spec.shape)}
                for name, spec in tensors.items()
            ],
        }
