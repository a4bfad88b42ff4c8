"""``ztfm identity ledger``: the contracts of the EVM ledger and of did:ethr, and who may write."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from controlplane.identity.ledgers.evm.settings import INSTALL, EvmInvalid, EvmSettings
from controlplane.identity.ledgers.interface import LedgerUnavailable

if TYPE_CHECKING:
    from controlplane.identity.ledgers.evm.deploying import Done
    from controlplane.identity.ledgers.evm.nodes import Asked
    from controlplane.identity.ledgers.evm.sending import Sender

app = typer.Typer(
    help="Ledgers on an EVM chain: deploy their contracts, and say who may write.\n\n"
    "The chain, its nodes and the account that pays are set by ZTFM_EVM_URL, ZTFM_EVM_CHAIN and ZTFM_EVM_KEY_FILE.\n\n"
    "Example: `ztfm identity ledger deploy --federation homes`",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Writer = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Address of an account, 0x and 40 digits.")]


@app.command("account")
def account(
    file: Annotated[Path, typer.Argument(help="Where its key is to be; nothing may be there yet.")],
    json_output: Json = False,
) -> None:
    """Make an account that can pay for writing, with its key in a file that only you can read.

    Send it some of the chain's coins, and have the administrator of the contract admit it.

    Example: `ztfm identity ledger account keys/ledger.key --json`
    """
    try:
        from controlplane.identity.ledgers.evm.accounts import create_account

        address = str(create_account(file).address)
    except ImportError as error:
        _missing("account", error)
    except EvmInvalid as error:
        _fail("account", str(error))
    if json_output:
        typer.echo(json.dumps({"address": address, "key_file": str(file)}))
    else:
        typer.echo(f"account {address}, key in {file}")


@app.command("deploy")
def deploy(
    federation: Annotated[str, typer.Option(help="Whose records the contract has; for people who look at it.")],
    writer: Annotated[
        list[str] | None, typer.Option(help="Account that may write from the start, up to 32; you by default.")
    ] = None,
    dids: Annotated[bool, typer.Option(help="Also deploy the contract of did:ethr (ERC-1056).")] = True,
    json_output: Json = False,
) -> None:
    """Deploy a contract for identity records, and one for did:ethr. The account that pays administers the former.

    Example: `ztfm identity ledger deploy --federation homes --json`
    """

    async def _work(node: "Asked", sender: "Sender", _settings: EvmSettings) -> "dict[str, Done]":
        from controlplane.identity.ledgers.evm.deploying import deploy_dids, deploy_records

        made = {"records": await deploy_records(node, sender, federation, writer or [sender.address])}
        if dids:
            made["dids"] = await deploy_dids(node, sender)
        return made

    if not federation or len(federation.encode()) > 128:
        _fail("deploy", "a federation's name has 1 to 128 bytes", 2)
    for one in writer or []:
        _require_address("deploy", one)
    made = _run("deploy", _work)
    if json_output:
        typer.echo(json.dumps({name: _shown(one) for name, one in made.items()}))
        return
    for name, one in made.items():
        typer.echo(f"{name}: block {one.block}, {one.gas} gas, {one.transaction}", err=True)
        typer.echo(f"ZTFM_EVM_{name.upper()}={one.contract}")


@app.command("admit")
def admit(writer: Writer, json_output: Json = False) -> None:
    """Let an account write to the contract that `ZTFM_EVM_RECORDS` names. Its administrator runs this.

    Example: `ztfm identity ledger admit 0x70997970C51812dc3A010C7d01b50e0d17dc79C8`
    """
    _change("admit", writer, json_output)


@app.command("dismiss")
def dismiss(writer: Writer, json_output: Json = False) -> None:
    """Let an account write no more. What it wrote stays. The contract's administrator runs this.

    Example: `ztfm identity ledger dismiss 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --json`
    """
    _change("dismiss", writer, json_output)


def _change(command: str, writer: str, json_output: bool) -> None:
    async def _work(node: "Asked", sender: "Sender", settings: EvmSettings) -> "Done":
        from controlplane.identity.ledgers.evm.deploying import change_writer

        if settings.records is None:
            raise EvmInvalid("ZTFM_EVM_RECORDS: name the contract that has the records")
        return await change_writer(node, sender, settings.records, writer, "admit" if command == "admit" else "dismiss")

    _require_address(command, writer)
    made = _run(command, _work)
    if json_output:
        typer.echo(json.dumps({"account": writer, "may_write": command == "admit", **_shown(made)}))
    else:
        typer.echo(f"{writer} may {'' if command == 'admit' else 'not '}write; {made.transaction}, {made.gas} gas")


def _run(command: str, work: Callable[["Asked", "Sender", EvmSettings], Awaitable[Any]]) -> Any:
    try:
        settings = EvmSettings.read(os.environ)
        return asyncio.run(_asked(settings, work))
    except ImportError as error:
        _missing(command, error)
    except (EvmInvalid, LedgerUnavailable) as error:
        _fail(command, str(error))


async def _asked(settings: EvmSettings, work: Callable[["Asked", "Sender", EvmSettings], Awaitable[Any]]) -> Any:
    from controlplane.identity.ledgers.evm.opening import nodes_of, sender_of

    sender = sender_of(settings)
    if sender is None:
        raise EvmInvalid("ZTFM_EVM_KEY_FILE: name the key of the account that pays")
    try:
        async with asyncio.timeout(settings.deadline_seconds), nodes_of(settings)[0].asked() as node:
            if await node.chain() != settings.chain:
                raise EvmInvalid(f"node {node.name} follows another chain than ZTFM_EVM_CHAIN names")
            return await work(node, sender, settings)
    except TimeoutError:
        raise LedgerUnavailable("the chain took more than ZTFM_EVM_DEADLINE_SECONDS; it may still do it") from None


def _require_address(command: str, text: str) -> None:
    if len(text) != 42 or not text.startswith("0x") or not all(one in "0123456789abcdefABCDEF" for one in text[2:]):
        _fail(command, f"{text!r} is no account: it has 0x and 40 hexadecimal digits", 2)


def _shown(made: "Done") -> dict[str, object]:
    shown = {"transaction": made.transaction, "block": made.block, "gas": made.gas}
    return shown if made.contract is None else {"address": made.contract, **shown}


def _missing(command: str, error: ImportError) -> NoReturn:
    _fail(command, f"it needs {error.name}: {INSTALL}")


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm identity ledger {command}: {message}", err=True)
    raise typer.Exit(status) from None
