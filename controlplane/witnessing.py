"""The log in service: its key, the witnesses that are named, and a head every few seconds."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from controlplane.audit.heads import Heads, LogRewritten
from controlplane.audit.remembered import HEAD_FILE, RememberedTree
from controlplane.audit.witnesses import HttpWitness
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.observing import Observer
from controlplane.settings import Settings
from controlplane.storage import Store, StoreUnavailable
from controlplane.transparency.keys import new_signer, read_signer, write_signer
from controlplane.transparency.notes import NoteInvalid, Signer, Verifier

_log = structlog.get_logger("ztfm.log")

KEY_FILE = "log-signing.key"
MOST_WITNESSES = 32


class WitnessesInvalid(ValueError):  # noqa: N818 - named for what happened
    """The file that names witnesses cannot be used. The message says which line and why."""


def load_signer(path: Path, origin: str | None) -> Signer:
    """Return the log's signer, made on first use with mode 0600.

    Args:
        path: of its private file.
        origin: name of a log that is begun; none for a random one.

    Raises:
        KeyFileError: others can read the file.
        NoteInvalid: it holds no such key.
        OSError: it cannot be read or written.
    """
    content = read_private(path)
    if content is None:
        named = origin or f"ztfm-log-{secrets.token_hex(8)}"
        content = create_private(path, write_signer(new_signer(named, "note")))
    try:
        return read_signer(content, "note")
    except NoteInvalid as error:
        raise NoteInvalid(f"{path}: {error}. Restore it from a backup; a new key is another log") from None


def read_witnesses(path: Path) -> list[tuple[Verifier, str]]:
    """Return the witnesses of a file: a line each, ``VERIFIER_KEY URL``; ``#`` begins a comment.

    Raises:
        WitnessesInvalid: a line is none, or there are too many.
        OSError: the file cannot be read.
    """
    found = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            key, url = words
            verifier = Verifier.parse(key)
            if verifier.kind != "cosignature" or not url.startswith(("http://", "https://")):
                raise NoteInvalid("the key is no witness's, or the URL none of HTTP")
        except (ValueError, NoteInvalid) as error:
            raise WitnessesInvalid(
                f"{path}, line {number}: {error}. A line is `VERIFIER_KEY URL`, as `ztfm witness init` prints the key"
            ) from None
        found.append((verifier, url))
    if len(found) > MOST_WITNESSES:
        raise WitnessesInvalid(f"{path} names {len(found)} witnesses; {MOST_WITNESSES} may watch a log")
    return found


@asynccontextmanager
async def keeping_heads(
    settings: Settings, store: Store, observer: Observer, clock: Callable[[], float]
) -> AsyncIterator[Heads]:
    """Yield what signs heads of the store's log.

    Raises:
        KeyFileError: the log's key cannot be used.
        NoteInvalid: it is none.
        WitnessesInvalid: the witnesses cannot be used.
        OSError: a file cannot be read.
    """
    path = settings.log_key_file or settings.state_dir / KEY_FILE
    signer = await asyncio.to_thread(load_signer, path, settings.log_origin)
    named: Sequence[tuple[Verifier, str]] = []
    if settings.log_witnesses_file is not None:
        named = await asyncio.to_thread(read_witnesses, settings.log_witnesses_file)
    if settings.log_witnesses_needed > len(named):
        raise WitnessesInvalid(
            f"ZTFM_LOG_WITNESSES_NEEDED wants {settings.log_witnesses_needed} witnesses, and {len(named)} are named in "
            "ZTFM_LOG_WITNESSES_FILE"
        )
    async with AsyncExitStack() as opened:
        witnesses = [await opened.enter_async_context(HttpWitness(key, url)) for key, url in named]
        tree = RememberedTree(store.log, settings.state_dir / HEAD_FILE, signer.verifier)
        yield Heads(tree, signer, witnesses, settings.log_witnesses_needed, observer, clock)


async def keep_signing(heads: Heads, every: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Sign a head every so many seconds while there is something new, for ever."""
    while True:
        try:
            await heads.advance()
        except LogRewritten as error:
            _log.error("log_rewritten", cause=str(error))
        except StoreUnavailable as error:
            _log.warning("log_not_signed", error=type(error).__name__)
        await sleep(every)
