"""A device's part in the secure sum of its group, whatever carries the messages. Needs NumPy, and no torch.

Nothing that an aggregator says is believed. How strong the sum must be, the device says; who is in its group, its own
capability does, before any masked value leaves it; whose keys are whose, the names of enrolled devices do.
"""

import hashlib
import math
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from adapters.credentials import Credentials, RoundTerms
from adapters.errors import ControlPlaneError
from adapters.hiding import asked_group
from adapters.jobs.tensorfile import StoredTensor, file_norm, read_stored
from adapters.member import Member
from adapters.secureaggregation import Aborted, Client, Scale, Session, Tolerance
from adapters.secureaggregation.masks import Words
from adapters.secureaggregation.messages import Delivery, Masked, Stage
from adapters.secureaggregation.parameters import MOST_CLIENTS
from adapters.secureaggregation.relaying import Participant
from adapters.secureaggregation.session import MOST_VALUES
from controlplane.capabilities.grouping import group_digest
from controlplane.contracts.base import Identifier, StrictModel
from controlplane.contracts.unambiguous import read_json

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Chance = Annotated[float, Field(ge=10.0, le=1024.0)]

_TYPES = {"float64": "<f8", "float32": "<f4", "float16": "<f2"}


class Offer(StrictModel):
    """What an aggregator says of the sum that a device is to be in.

    Attributes:
        session: names the sum: the round's id, and after a stroke the group's number.
        members: of the group, in order.
        length: of the vectors that are added: one more than an update has values.
        bits: of the numbers that are added.
        fewest: with fewer members in it there is no sum.
        colluding: share of the members that may work together with the aggregator.
        dropped: share of the members that may go away.
        privacy_bits: as in `Tolerance`.
        failure_bits: as in `Tolerance`.
        value: a single value of an update is cut to this size.
    """

    session: Identifier
    members: Annotated[list[Identifier], Field(min_length=2, max_length=MOST_CLIENTS)]
    length: Annotated[int, Field(ge=2, le=MOST_VALUES)]
    bits: Literal[32, 64]
    fewest: Annotated[int, Field(ge=2, le=MOST_CLIENTS)]
    colluding: Share
    dropped: Share
    privacy_bits: Chance
    failure_bits: Chance
    value: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

    @classmethod
    def of(cls, session: Session, members: Collection[str], value: float) -> "Offer":
        """Return what is said of a sum.

        Args:
            session: of it.
            members: of the group.
            value: to which single values are cut.
        """
        tolerance = session.tolerance
        return cls(
            session=session.id,
            members=sorted(members),
            length=session.length,
            bits=session.bits,
            fewest=session.fewest,
            colluding=tolerance.colluding,
            dropped=tolerance.dropped,
            privacy_bits=tolerance.privacy_bits,
            failure_bits=tolerance.failure_bits,
            value=value,
        )

    @classmethod
    def read(cls, raw: bytes) -> "Offer":
        """Return an offer as it came.

        Raises:
            Aborted: ``malformed``: it is none.
        """
        try:
            return cls.model_validate(read_json(raw))
        except (ValidationError, ValueError, RecursionError):
            raise Aborted("malformed", "what arrived describes no sum") from None

    def agreed(self, name: str, round_id: str, values: int, least: Tolerance) -> Session:
        """Return the session that a device takes part in.

        Args:
            name: of the device.
            round_id: that the sum must be of.
            values: of its update.
            least: what the sum must withstand.

        Raises:
            Aborted: ``unlike_session``: it is another round's, weaker than that, not for this device, or for another
                model.
        """
        round_of, _, number = self.session.rpartition("/")
        is_ours = round_of == round_id and number.isdecimal() and self.length == values + 1
        if not is_ours or self.members != sorted(set(self.members)) or name not in self.members:
            raise Aborted("unlike_session", "the sum is not of this round, this model and this device")
        fewest = max(3, len(self.members) // 2)
        if self.colluding < least.colluding or self.privacy_bits < least.privacy_bits or self.fewest < fewest:
            raise Aborted("unlike_session", "the sum would hide less than this device asks for")
        tolerance = Tolerance(self.colluding, self.dropped, self.privacy_bits, self.failure_bits)
        return Session(self.session, self.length, self.bits, tolerance, self.fewest)


class MaskingClient(Client):
    """A member's part in a sum: what it masks, it asks a capability for, and shows for it.

    Args:
        session: of the sum.
        member: whose key signs, and who asks.
        terms: of the round.
        members: of the group.
        norm: L2 norm of the update, which a site of its own is told; none where that is not known.
        examples: training examples behind it, likewise.

    Attributes:
        shown: the credentials of the masked values, once there are any.
        digest: of these; empty before.
    """

    def __init__(
        self,
        session: Session,
        member: Member,
        terms: RoundTerms,
        members: Collection[str],
        *,
        norm: float | None = None,
        examples: int | None = None,
    ) -> None:
        super().__init__(session, member.id, member.key, members)
        self.shown: Credentials | None = None
        self.digest = ""
        self._summed = session
        self._group = group_digest(members)
        self._member = member
        self._terms = terms
        self._told = {"norm": norm, "examples": examples}

    def mask(self, delivery: Delivery, words: Words) -> Masked:
        """Return the masked values, once the control plane lets them be submitted to this group's sum.

        Raises:
            Aborted: as `Client.mask`; ``declined`` where it does not, ``unlike_roster`` where the group is another.
        """
        masked = super().mask(delivery, words)
        digest = masked_digest(self._summed, masked)
        try:
            if self._member.site is not None:
                self._member.describe(digest, **self._told)  # type: ignore[arg-type]
            shown = self._member.submit_masked(self._terms, digest)
        except ControlPlaneError as error:
            raise Aborted("declined", f"{self._member.id} may not submit: {error}") from None
        if asked_group(shown.capability) != self._group:
            raise Aborted("unlike_roster", "this is not the group that the control plane put this device into")
        self.shown, self.digest = shown, digest
        return masked


class Masking:
    """A device that adds its update to its group's sum, message by message.

    Args:
        member: the device.
        terms: of the round.
        update: safetensors file, trained minus received.
        examples: training examples behind it, which a site of its own is told.
        offer: what the aggregator says of the sum, as it came.
        least: what the sum must withstand; none for what `Tolerance` says by itself.

    Raises:
        Aborted: this device takes no part in such a sum.
        UnfitFileError: the file is no safetensors file that can be screened.
        OSError: it cannot be read.
    """

    def __init__(
        self,
        member: Member,
        terms: RoundTerms,
        update: Path,
        examples: int,
        offer: bytes,
        least: Tolerance | None = None,
    ) -> None:
        said, stored = Offer.read(offer), read_stored(update)
        values = sum(math.prod(tensor.shape) for tensor in stored)
        session = said.agreed(member.id, terms.round_id, values, least or Tolerance())
        norm = None if member.site is None else file_norm(update, stored)
        self._client = MaskingClient(session, member, terms, said.members, norm=norm, examples=examples)
        scale = Scale(said.value, len(said.members), said.bits)
        self._participant = Participant(self._client, lambda: _words(update, stored, scale))

    @property
    def shown(self) -> Credentials | None:
        """What the masked values may be sent with; none before they were made."""
        return self._client.shown

    @property
    def digest(self) -> str:
        """Of the masked values; empty before they were made."""
        return self._client.digest

    def answer(self, stage: Stage, raw: bytes) -> bytes:
        """Return what goes back to the aggregator.

        Args:
            stage: that is asked for.
            raw: as it arrived; empty for the first.

        Raises:
            SecureAggregationError: this device goes no further; nothing more is to be sent.
        """
        return self._participant.answer(stage, raw)


def masked_digest(session: Session, message: Masked) -> str:
    """Return the digest of masked values in their session, as `adapters.guard.summing` has it, without torch."""
    return f"sha256:{hashlib.sha256(session.digest + hashlib.sha256(message.vector).digest()).hexdigest()}"


def _words(update: Path, stored: list[StoredTensor], scale: Scale) -> Words:
    with update.open("rb") as file:
        values = np.concatenate([_values(file, tensor) for tensor in stored])
    try:
        return scale.encode(values)
    except ValueError as error:
        raise Aborted("malformed", f"the update cannot be summed: {error}") from None


def _values(file: BinaryIO, tensor: StoredTensor) -> NDArray[np.float64]:
    file.seek(tensor.start)
    raw = file.read(tensor.size_bytes)
    if tensor.dtype == "bfloat16":
        # The upper half of a float32.
        wide = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).astype(np.float64)
    return np.frombuffer(raw, dtype=_TYPES[tensor.dtype]).astype(np.float64)
