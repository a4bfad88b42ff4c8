"""An archive looked at from a shell: plain values in and out, for whoever has the folder and no running job."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.enrolment import load_key
from adapters.rollback.archive import DeltaArchive
from adapters.rollback.errors import ArchiveDamaged, ArchiveError
from adapters.rollback.folder import Folder
from adapters.rollback.manifest import ENTRY, Asked, RollbackEntry, RoundEntry
from adapters.rollback.rebuilding import Progress
from adapters.rollback.replay import digest_of_weights
from adapters.rollback.signing import open_token, sign
from adapters.rollback.tensors import write_tensors
from adapters.rollback.verifying import Done, verify
from controlplane.capabilities.errors import KeyFileError

FAULTS = (ArchiveError, KeyFileError, OSError, ValueError)
"""What the functions here raise when they cannot do what is asked; the text is for people."""


def verified(
    folder: Path,
    signer: str | None,
    progress: Progress | None = None,
    last_done: tuple[str, str, float] | None = None,
) -> dict[str, Any]:
    """Return what holds of an archive and what does not, with what it says of each round.

    Args:
        folder: of the archive.
        signer: who should have signed; none for anybody.
        progress: is told how many entries are done, of how many.
        last_done: id, digest and end (Unix seconds) of the last order that the control plane knows as done and that
            replayed a round; none where nobody says so.
    """
    found = verify(folder, signer, progress, last_done=None if last_done is None else Done(*last_done))
    rounds = [one for one in found.entries if isinstance(one, RoundEntry)]
    return {
        "holds": found.holds,
        "faults": list(found.faults),
        "signers": list(found.signers),
        "replayed": found.replayed,
        "not_replayable": list(found.not_replayable),
        "restarts": list(found.restarts),
        "rounds": [one.model_dump(mode="json", exclude={"kind", "previous", "recipe"}) for one in rounds],
        "rollbacks": [one.model_dump(mode="json") for one in found.entries if isinstance(one, RollbackEntry)],
    }


def parties(folder: Path) -> tuple[list[str], list[str]]:
    """Return of which models an archive holds rounds, and who says to have signed them; what is damaged is left out.

    Args:
        folder: of the archive.
    """
    kept = Folder(folder, writes=False)
    models, signers = set(), set()
    for number in kept.numbers():
        with suppress(ArchiveDamaged, FileNotFoundError, ValidationError):
            payload, by = open_token(kept.token(number), None)
            entry = ENTRY.validate_python(payload)
            signers.add(by)
            if isinstance(entry, RoundEntry):
                models.add(entry.model)
    return sorted(models), sorted(signers)


def rebuilt(
    folder: Path,
    out: Path,
    without: Sequence[str],
    since: str | None,
    key_folder: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the model without what some subjects contributed to a safetensors file, and return what that took.

    Without anybody to leave out, it is the model as the archive ends with it. The archive stays as it is.

    Args:
        folder: of the archive.
        out: the file, which must not be there.
        without: the subjects.
        since: the first round that is done again; none for the first that is kept.
        key_folder: of the enrolled aggregator, to sign the record; none leaves it unsigned.
        progress: is told how many rounds are done, of how many.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already")
    key = None if key_folder is None else load_key(key_folder)
    with DeltaArchive(folder) as archive:
        rounds = archive.standings()
        if not rounds:
            raise ArchiveError("the archive is empty")
        if not without:
            state = archive.latest()
            if state is None:
                raise ArchiveError("the last round cannot be done again, so its weights are not known here")
            write_tensors(out, state)
            return {"weights": digest_of_weights(state), "record": None, "signed": None}
        asked = Asked(without=sorted(set(without)), since=since or rounds[0].entry.round_id)
        found = archive.rebuild(asked, progress=progress)
        if found is None:
            raise ArchiveError(archive.plan(asked).answers[0].incomplete or "they contributed nothing since that round")
    write_tensors(out, found.state)
    signed = None if key is None else sign(key, found.record)
    return {
        "weights": found.record.weights_after,
        "record": found.record.model_dump(mode="json"),
        "signed": signed,
    }
