"""The contracts as they are deployed: interface and bytecode, compiled beforehand and shipped.

Nobody needs a compiler to use them. After a change to a source, with the development tools installed:

    python -m controlplane.identity.ledgers.evm.compiled
"""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent / "contracts"

Contract = Literal["records", "dids"]
"""Identity records in one order; owners, delegates and attributes of did:ethr (ERC-1056)."""

CONTRACTS: tuple[Contract, ...] = ("records", "dids")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A contract.

    Attributes:
        abi: its interface, as JSON.
        bytecode: that deploys it, hexadecimal with ``0x``.
        runtime: that lies on the chain afterwards, but for the values that are set on deployment.
        compiler: its name and version.
        source: SHA-256 of what was compiled, hexadecimal.
    """

    abi: list[dict[str, Any]]
    bytecode: str
    runtime: str
    compiler: str
    source: str


def load(contract: Contract) -> Compiled:
    """Return a contract as it is shipped."""
    return Compiled(**json.loads((FOLDER / f"{contract}.json").read_text()))


def compile_source(contract: Contract) -> Compiled:
    """Return a contract as it is compiled now.

    Raises:
        FileNotFoundError: the compiler is not installed here.
        subprocess.CalledProcessError: it does not compile; what is wrong was shown.
    """
    source = FOLDER / f"{contract}.vy"
    abi, bytecode, runtime = _vyper("-f", "abi,bytecode,bytecode_runtime", str(source)).splitlines()
    return Compiled(
        abi=json.loads(abi),
        bytecode=bytecode,
        runtime=runtime,
        compiler=f"vyper {_vyper('--version').split('+')[0].strip()}",
        source=hashlib.sha256(source.read_bytes()).hexdigest(),
    )


def written(contract: Compiled) -> str:
    """Return a compiled contract as text of its file."""
    shown = {name: getattr(contract, name) for name in Compiled.__slots__}
    return json.dumps(shown, indent=1, sort_keys=True) + "\n"


def _vyper(*words: str) -> str:
    program = Path(sys.executable).with_name("vyper")
    return subprocess.run([str(program), *words], check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


if __name__ == "__main__":
    for _name in CONTRACTS:
        (FOLDER / f"{_name}.json").write_text(written(compile_source(_name)))
