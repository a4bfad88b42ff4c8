"""Attest a device by its TPM from a shell: ``python -m adapters.attest FOLDER``; or print what it would show."""

import argparse
import json
import os
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.attesting.interface import CannotAttest
from adapters.attesting.tpm import SYSTEM_TPM, USUAL_PCRS, TpmAttester
from adapters.errors import ControlPlaneError, Denied
from adapters.member import Member
from controlplane.capabilities.errors import KeyFileError


def main(arguments: Sequence[str] | None = None) -> int:
    """Attest, and return the exit status: 0, or 1 with a message when it could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m adapters.attest",
        description="Attest an enrolled device by its TPM 2.0: the control plane says what that proves, and how long.",
        epilog="Example: python -m adapters.attest keys/device-7 --event-log "
        "/sys/kernel/security/tpm0/binary_bios_measurements. For the operator, before that: "
        "python -m adapters.attest keys/device-7 --show --json > evidence.json",
    )
    parser.add_argument("folder", type=Path, help="the device's own, where it was enrolled")
    parser.add_argument("--tcti", default=SYSTEM_TPM, help="how the TPM is reached, as the TSS names it (%(default)s)")
    parser.add_argument(
        "--pcrs", type=_pcrs, default=USUAL_PCRS, metavar="N,N...", help="registers that are quoted (0 to 7)"
    )
    parser.add_argument("--bank", choices=("sha256", "sha384"), default="sha256", help="of the registers (%(default)s)")
    parser.add_argument("--event-log", type=Path, metavar="FILE", help="the firmware's log, shown with the quote")
    parser.add_argument(
        "--listed", action="store_true", help="the operator lists the attestation key: open no credential"
    )
    parser.add_argument(
        "--show", action="store_true", help="ask nobody: print evidence, and the attestation key's name"
    )
    parser.add_argument("--socket", type=Path, help="Unix socket of the control plane")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    # The TSS writes each error on its way up; what is left of it at the end is enough.
    os.environ.setdefault("TSS2_LOG", "all+none")
    try:
        attester = TpmAttester(
            given.folder, given.tcti, given.pcrs, given.bank, given.event_log, with_endorsement=not given.listed
        )
        found = _shown(attester) if given.show else _attested(attester, given.folder, given.socket)
    except Denied as denied:
        return _failed("\n".join([str(denied), *_differences(denied)]))
    except (CannotAttest, ControlPlaneError, KeyFileError, ValueError, OSError) as error:
        return _failed(str(error))
    print(json.dumps(found) if given.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


def _attested(attester: TpmAttester, folder: Path, socket: Path | None) -> dict[str, Any]:
    with Member.open(folder, socket=socket) as member:
        result = member.plane.attest(attester)
    return {
        "level": result.level,
        "reference": result.reference,
        "expires_at": result.expires_at,
        "decision_id": result.decision_id,
    }


def _shown(attester: TpmAttester) -> dict[str, Any]:
    """Evidence that answers no challenge: for `ztfm attest verify` and `ztfm attest reference`."""
    evidence = attester.evidence(os.urandom(32), None)
    return {
        "kind": attester.kind,
        "attestation_key": attester.name(),
        "registers": {f"pcr{pcr}": value.hex() for pcr, value in attester.values().items()},
        "evidence": {name: b64encode(value).decode() for name, value in evidence.items()},
    }


def _differences(denied: Denied) -> list[str]:
    return [
        f"{one.claim}: {one.seen or 'nothing'}, wanted {' or '.join(one.wanted) or 'nothing'}"
        for reason in denied.reasons
        for one in reason.differences or ()
    ]


def _pcrs(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of registers, such as 0,4,7") from None


def _failed(why: str) -> int:
    print(f"adapters.attest: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
