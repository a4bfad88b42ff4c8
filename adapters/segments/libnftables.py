"""nftables through its library: one call is one transaction of the kernel, all of it or nothing.

`libnftables(3)`, JSON as `libnftables-json(5)`. Without the library the program ``nft`` does the same in a process.
"""

import ctypes
import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Protocol

from adapters.segments.errors import NftablesMissing, RulesRefused

_LIBRARY = "libnftables.so.1"
_OUTPUT_JSON = 1 << 4
_OUTPUT_TERSE = 1 << 11
_PROGRAM_SECONDS = 60.0
_REMEDY = "install Debian's package libnftables1, or nftables for the program nft"

Ruleset = Mapping[str, Any]
"""What libnftables takes and gives: an object with the one key ``nftables``, a list of commands or of objects."""


class Nftables(Protocol):
    """Takes commands, all or none, and says what there is, in the network namespace of the thread that calls it."""

    def run(self, commands: Ruleset) -> None:
        """Carry out commands in one transaction.

        Raises:
            RulesRefused: they were not taken, none of them.
        """
        ...

    def listing(self, family: str, table: str) -> Ruleset | None:
        """Return one table with all that is in it, and what of others passes by it; none where there is no such table.

        That is the flowtables and the rules of all tables.

        Raises:
            RulesRefused: it cannot be read.
        """
        ...


class LibNftables:
    """The library, in this process. Each call has a context of its own: what one left behind misleads no other.

    Raises:
        NftablesMissing: it is not installed.
    """

    def __init__(self) -> None:
        try:
            self._library = _declared(ctypes.CDLL(_LIBRARY))
        except (OSError, AttributeError) as error:
            raise NftablesMissing(f"{_LIBRARY} cannot be used ({error}): {_REMEDY}") from None

    def run(self, commands: Ruleset) -> None:
        """Carry out commands in one transaction.

        Raises:
            RulesRefused: they were not taken, none of them.
        """
        self._call(json.dumps(commands))

    def listing(self, family: str, table: str) -> Ruleset | None:
        """Return one table with all that is in it, and what of others passes by it; none where there is no such table.

        Raises:
            RulesRefused: it cannot be read.
        """
        return _listed(self._call, family, table)

    def _call(self, text: str, *, terse: bool = False) -> str:
        library = self._library
        context = library.nft_ctx_new(0)
        if not context:
            raise RulesRefused("libnftables gave no context: run as root, or with CAP_NET_ADMIN")
        try:
            library.nft_ctx_output_set_flags(context, _OUTPUT_JSON | (_OUTPUT_TERSE if terse else 0))
            if library.nft_ctx_buffer_output(context) or library.nft_ctx_buffer_error(context):
                raise RulesRefused("libnftables has no room for an answer")
            status = library.nft_run_cmd_from_buffer(context, text.encode())
            said = (library.nft_ctx_get_error_buffer(context) or b"").decode(errors="replace")
            if status != 0:
                raise RulesRefused(_told(said))
            return (library.nft_ctx_get_output_buffer(context) or b"").decode()
        finally:
            library.nft_ctx_free(context)


class NftProgram:
    """The program ``nft``, in a process of its own for each call.

    Raises:
        NftablesMissing: it is not installed.
    """

    def __init__(self) -> None:
        found = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
        if found is None:
            raise NftablesMissing(f"there is no program nft: {_REMEDY}")
        self._program = found

    def run(self, commands: Ruleset) -> None:
        """Carry out commands in one transaction.

        Raises:
            RulesRefused: they were not taken, none of them.
        """
        self._call(json.dumps(commands))

    def listing(self, family: str, table: str) -> Ruleset | None:
        """Return one table with all that is in it, and what of others passes by it; none where there is no such table.

        Raises:
            RulesRefused: it cannot be read.
        """
        return _listed(self._call, family, table)

    def _call(self, text: str, *, terse: bool = False) -> str:
        words = [self._program, "--json", *(["--terse"] if terse else []), "--file", "-"]
        try:
            done = subprocess.run(  # noqa: S603 - a program of the system, and no words of others
                words, input=text, capture_output=True, text=True, timeout=_PROGRAM_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RulesRefused(f"nft could not be run to its end: {error}") from None
        if done.returncode != 0:
            raise RulesRefused(_told(done.stderr))
        return done.stdout


def find_nftables() -> Nftables:
    """Return the library, or the program where there is no library.

    Raises:
        NftablesMissing: there is neither.
    """
    try:
        return LibNftables()
    except NftablesMissing:
        return NftProgram()


class _Call(Protocol):
    """Runs commands and returns what they say; of named sets not what they hold where that is to be terse."""

    def __call__(self, text: str, *, terse: bool = False) -> str: ...


def _listed(call: _Call, family: str, table: str) -> Ruleset | None:
    try:
        objects = _objects(call(_listing("table", {"family": family, "name": table})))
    except RulesRefused:
        # Whether there is one is asked afterwards: the list of tables takes as long as all that is in them.
        tables = _objects(call(_listing("tables", {"family": family})))
        if any(one.get("table", {}).get("name") == table for one in tables):
            raise
        return None
    # A flowtable of any table takes connections past the rules of this one, and so do rules that send packets on.
    whole = _objects(call(_listing("ruleset", {}), terse=True))
    return {"nftables": [*objects, *(one for one in whole if _passes_by(one, (family, table)))]}


def _passes_by(one: dict[str, Any], own: tuple[str, str]) -> bool:
    """Whether an object may take packets past a table: a flowtable, or a rule of another table."""
    rule = one.get("rule")
    return "flowtable" in one or (rule is not None and (rule.get("family"), rule.get("table")) != own)


def _listing(what: str, which: dict[str, str]) -> str:
    return json.dumps({"nftables": [{"list": {what: which}}]})


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RulesRefused("nftables' answer is no JSON of a ruleset: compare its version, 1.0 or later") from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RulesRefused("nftables' answer is no list of objects: compare its version, 1.0 or later")
    return found


def _told(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    remedy = "; run as root, or with CAP_NET_ADMIN" if "Operation not permitted" in said else ""
    return f"nftables refused the rules: {lines[0][:300] if lines else 'no reason was given'}{remedy}"


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    context = ctypes.c_void_p
    library.nft_ctx_new.restype, library.nft_ctx_new.argtypes = context, [ctypes.c_uint32]
    library.nft_ctx_free.restype, library.nft_ctx_free.argtypes = None, [context]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).restype, getattr(library, name).argtypes = ctypes.c_int, [context]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype, getattr(library, name).argtypes = ctypes.c_char_p, [context]
    library.nft_run_cmd_from_buffer.restype = ctypes.c_int
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    return library
