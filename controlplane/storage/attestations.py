"""Challenges, each answered once, and what became of evidence."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Row, Select, case, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.attestation import ReleaseKey
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.base import is_identifier
from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Attestation, AttestationLevel
from controlplane.storage.database import Database
from controlplane.storage.revocations import write_notice
from controlplane.storage.tables import devices
from controlplane.storage.tables_attestation import attestation_challenges as challenges
from controlplane.storage.tables_attestation import attestations

MAX_OPEN = 4
"""Challenges of one device that are open at once; the oldest make room for the newest."""

MAX_KINDS = 64
"""Kinds of evidence of which a device's latest results are kept."""

MAX_OTHERS = 1000
"""Subjects with a proof of one platform that are counted at most."""

_TURN = text("SELECT pg_advisory_xact_lock(8420, hashtext(:platform))")
"""Of several replicas, one at a time keeps a proof of a platform; SQLite has one writer anyway."""

RANKS: Mapping[AttestationLevel, int] = {"none": 0, "software": 1, "hardware": 2}


@dataclass(frozen=True)
class OpenChallenge:
    """A challenge that nobody has answered yet.

    Attributes:
        id: names it.
        device: for which it was made.
        kind: of evidence that may answer it.
        nonce: 32 random bytes, base64url.
        kept: what its verifier wants back with the answer; none where it wants nothing.
        made_at: Unix seconds.
        expires_at: Unix seconds.
    """

    id: str
    device: str
    kind: str
    nonce: str
    kept: bytes | None
    made_at: float
    expires_at: float


@dataclass(frozen=True)
class Proven:
    """How many devices have proven a level.

    Attributes:
        current: whose proof counts now.
        lapsed: whose proof expired, and who have shown no other.
        oldest_at: when the oldest that counts was made, Unix seconds; none where none counts.
    """

    current: int
    lapsed: int
    oldest_at: float | None


@dataclass(frozen=True)
class Seen:
    """What a decision on evidence was made of; it holds still, or what was decided is not kept.

    Attributes:
        challenged_at: when the challenge was made that the evidence answers, Unix seconds.
        platform: whether it is the one of which the device showed evidence before.
        others: how many other subjects had a proof of it.
    """

    challenged_at: float
    platform: Literal["first", "same", "other"]
    others: int


class Attestations:
    """The tables of challenges and results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def challenge(
        self, device: str, kind: str, now: float, expires_at: float, kept: bytes | None
    ) -> OpenChallenge:
        """Make a challenge and keep it; the oldest of the device's make room.

        Args:
            device: for which it is; enrolled.
            kind: of evidence that may answer it.
            now: Unix seconds.
            expires_at: Unix seconds.
            kept: what its verifier wants back with the answer.
        """
        made = OpenChallenge(
            f"chal-{secrets.token_hex(16)}", device, kind, secrets.token_urlsafe(32), kept, now, expires_at
        )
        theirs = select(challenges.c.id).where(challenges.c.device == device)
        newest = theirs.order_by(challenges.c.made_at.desc(), challenges.c.id).limit(MAX_OPEN - 1)

        async def _challenge(connection: AsyncConnection) -> None:
            # One at a time for a device, whichever replica it asks.
            await connection.execute(select(devices.c.id).where(devices.c.id == device).with_for_update())
            kept_ids = (await connection.execute(newest)).scalars().all()
            is_older = (challenges.c.device == device) & challenges.c.id.not_in(kept_ids)
            await connection.execute(delete(challenges).where(is_older))
            await connection.execute(insert(challenges).values(asdict(made)))

        await self._database.write("make a challenge", _challenge)
        return made

    async def take(self, challenge_id: str, device: str) -> OpenChallenge | None:
        """Return a challenge of a device, once and to nobody else; none where it has none of that id."""
        if not is_identifier(challenge_id):
            return None
        is_it = (challenges.c.id == challenge_id) & (challenges.c.device == device)

        async def _take(connection: AsyncConnection) -> Row[Any] | None:
            return (await connection.execute(delete(challenges).where(is_it).returning(*challenges.c))).first()

        row = await self._database.write("take a challenge", _take)
        return None if row is None else OpenChallenge(**row._mapping)

    async def keep(self, device: str, thumbprint: str, result: KeptResult, seen: Seen | None = None) -> bool:
        """Keep what became of evidence that policy accepted, and what the device has proven from now on.

        That is the strongest level of which the proof still counts, of any kind of evidence.

        Args:
            device: that showed it.
            thumbprint: of the key that the evidence vouches for.
            result: it.
            seen: what was decided on; none where nothing was.

        Returns:
            False, with nothing changed, where the device has another key by now, or evidence that it showed later
            contradicts the reference values; and where ``seen`` does not hold any more: the device is not active,
            something contradicted the values after the challenge was made, later evidence of this kind was kept, or
            the platform has become another device's too.
        """
        at = result.verified_at

        async def _keep(connection: AsyncConnection) -> bool:
            if connection.dialect.name == "postgresql":
                await connection.execute(_TURN, {"platform": result.platform})
            if await _lock(connection, device) != thumbprint:
                return False
            known = await _results(connection, device)
            if any(one.level == "none" and one.verified_at > at for one in known):
                return False
            if seen is not None and not (
                _holds(seen, result, known)
                and await _is_active(connection, device)
                and (await connection.execute(_others(device, result.platform, at))).scalar_one() <= seen.others
            ):
                return False
            await _replace(connection, device, result)
            others = [one for one in known if one.kind != result.kind and one.expires_at > at]
            best = max([*others, result], key=lambda one: (RANKS[one.level], one.verified_at))
            proven = Attestation(level=best.level, verified_at=best.verified_at, expires_at=best.expires_at)
            await _prove(connection, device, proven)
            return True

        with self._database.understanding("keep an attestation"):
            return await self._database.write("keep an attestation", _keep)

    async def withdraw(self, device: str, thumbprint: str, result: KeptResult, notice: Notice | None = None) -> bool:
        """Let nothing count any more that a device has proven before, and keep which evidence contradicts it.

        Args:
            device: that showed the evidence.
            thumbprint: of the key that the evidence vouches for.
            result: of level none.
            notice: of what is void with it, written where something counted.

        Returns:
            Whether something counted until now.
        """
        begun = time.monotonic()

        async def _withdraw(connection: AsyncConnection) -> bool:
            if await _lock(connection, device) != thumbprint:
                return False
            known = await _results(connection, device)
            had = any(one.level != "none" and one.expires_at > result.verified_at for one in known)
            # Each keeps the platform that it was of: whoever contradicts it with another does not take its place.
            kept = {result.kind: result.platform} | {one.kind: one.platform for one in known}
            for kind, platform in kept.items():
                await _replace(connection, device, result.model_copy(update={"kind": kind, "platform": platform}))
            await _prove(connection, device, Attestation())
            if had and notice is not None:
                await write_notice(connection, notice, begun)
            return had

        with self._database.understanding("withdraw an attestation"):
            return await self._database.write("withdraw an attestation", _withdraw)

    async def others(self, device: str, platform: str, now: float) -> int:
        """Return how many other active devices have a proof of a platform, up to `MAX_OTHERS`.

        Args:
            device: that does not count.
            platform: as verifiers name it; of whatever kind the evidence was.
            now: Unix seconds; what has expired by then does not count.
        """
        with self._database.understanding("count a platform's devices"):
            [row] = await self._database.read("count a platform's devices", _others(device, platform, now))
            return int(row[0])

    async def of(self, device: str) -> list[KeptResult]:
        """Return the latest results of a device, one a kind of evidence, in order of kind."""
        if not is_identifier(device):
            return []
        query = select(attestations).where(attestations.c.device == device).order_by(attestations.c.kind)
        with self._database.understanding("read attestations"):
            return [_result(row) for row in await self._database.read("read attestations", query.limit(MAX_KINDS))]

    async def proven(self, now: float) -> Mapping[AttestationLevel, Proven]:
        """Return how many devices have proven each level at ``now`` (Unix seconds); revoked ones are not counted."""
        level, at = devices.c.attestation_level, devices.c.attestation_verified_at
        until = devices.c.attestation_expires_at
        counts = until.is_(None) | (until > now)
        query = (
            select(
                level.label("level"),
                func.sum(case((counts, 1), else_=0)).label("current"),
                func.sum(case((counts, 0), else_=1)).label("lapsed"),
                func.min(case((counts, at), else_=None)).label("oldest_at"),
            )
            .where((devices.c.status != "revoked") & (level != "none"))
            .group_by(level)
        )
        with self._database.understanding("count attested devices"):
            rows = await self._database.read("count attested devices", query)
            return {row.level: Proven(int(row.current), int(row.lapsed), row.oldest_at) for row in rows}

    async def purge(self, now: float, results_before: float) -> int:
        """Forget challenges that expired before ``now`` and results before ``results_before`` (Unix seconds)."""
        await self._database.change("forget challenges", delete(challenges).where(challenges.c.expires_at <= now))
        is_past = attestations.c.expires_at < results_before
        return await self._database.change("forget attestations", delete(attestations).where(is_past))


async def forget_attestations(connection: AsyncConnection, device: str) -> None:
    """Forget within a transaction what a device was challenged with, and what became of its evidence."""
    await connection.execute(delete(challenges).where(challenges.c.device == device))
    await connection.execute(delete(attestations).where(attestations.c.device == device))


def _others(device: str, platform: str, now: float) -> Select[int]:
    theirs = (
        select(attestations.c.device)
        .join(devices, devices.c.id == attestations.c.device)
        .where(
            (attestations.c.platform == platform)
            & (attestations.c.expires_at > now)
            & (attestations.c.level != "none")
            & (attestations.c.device != device)
            & (devices.c.status == "active")
        )
        .distinct()
        .limit(MAX_OTHERS)
    )
    return select(func.count()).select_from(theirs.subquery())


def _holds(seen: Seen, result: KeptResult, known: Sequence[KeptResult]) -> bool:
    """Whether what is known of the device by now lets count what was decided before."""
    for one in known:
        # What was made before a contradiction came, for whichever challenge, says nothing of what is there now.
        if one.level == "none" and one.verified_at >= seen.challenged_at:
            return False
        if one.kind == result.kind and one.verified_at > result.verified_at:
            return False
        if one.kind == result.kind and one.platform != result.platform and seen.platform != "other":
            return False
    return True


async def _is_active(connection: AsyncConnection, device: str) -> bool:
    query = select(devices.c.status).where(devices.c.id == device)
    return (await connection.execute(query)).scalar() == "active"


async def _lock(connection: AsyncConnection, device: str) -> str | None:
    query = select(devices.c.key_thumbprint).where(devices.c.id == device).with_for_update()
    found: str | None = (await connection.execute(query)).scalar()
    return found


async def _results(connection: AsyncConnection, device: str) -> Sequence[KeptResult]:
    rows = (await connection.execute(select(attestations).where(attestations.c.device == device))).all()
    return [_result(row) for row in rows]


async def _replace(connection: AsyncConnection, device: str, result: KeptResult) -> None:
    is_it = (attestations.c.device == device) & (attestations.c.kind == result.kind)
    await connection.execute(delete(attestations).where(is_it))
    await connection.execute(insert(attestations).values(device=device, **_values(result)))


async def _prove(connection: AsyncConnection, device: str, proven: Attestation) -> None:
    changes = {
        "attestation_level": proven.level,
        "attestation_verified_at": proven.verified_at,
        "attestation_expires_at": proven.expires_at,
    }
    await connection.execute(update(devices).where(devices.c.id == device).values(changes))


def _values(result: KeptResult) -> dict[str, Any]:
    key = result.release_key
    return {
        **result.model_dump(exclude={"release_key"}),
        "release_suite": None if key is None else key.suite,
        "release_key": None if key is None else key.key,
    }


def _result(row: Row[Any]) -> KeptResult:
    known = {name: value for name, value in row._mapping.items() if name in KeptResult.model_fields}
    suite, key = row.release_suite, row.release_key
    known["release_key"] = None if suite is None else ReleaseKey(suite=suite, key=key)
    return KeptResult(**known)
