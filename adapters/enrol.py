"""Enrol a device or service from a shell: ``ztfm tokens issue ... | python -m adapters.enrol FOLDER URL ...``.

The token is read from standard input, so that no list of processes shows it. An issuer's credential, or a
manufacturer's certificates, are read from a file in its place; both are for the key in the folder, ``key.pem``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from adapters.errors import ControlPlaneError
from adapters.member import Member
from adapters.presenting import Certificates, Credential, Evidence
from controlplane.capabilities.errors import KeyFileError

_MAX_CHARS = 8192


def main(arguments: Sequence[str] | None = None) -> int:
    """Enrol, and return the exit status: 0, or 1 with a message when it could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m adapters.enrol",
        description="Enrol a device or service once. Reads the enrolment token from standard input, unless a "
        "credential or certificates are given.",
        epilog="Example: ztfm tokens issue --role gateway --segment core | "
        "python -m adapters.enrol keys/gateway http://127.0.0.1:8181 --role gateway --segment core. Or: "
        "python -m adapters.enrol keys/hub http://127.0.0.1:8181 --role trainer --segment homes --credential hub.txt",
    )
    parser.add_argument("folder", type=Path, help="where its key and name are kept; made, for its owner alone")
    parser.add_argument("url", help="the control plane's public URL")
    parser.add_argument("--role", action="append", required=True, help="what it will do; may be given several times")
    parser.add_argument("--segment", required=True, help="where it lives")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--credential", type=Path, metavar="FILE", help="SD-JWT VC of an issuer, as it was issued")
    shown.add_argument(
        "--certificates",
        type=Path,
        metavar="FILE",
        help="PEM of the manufacturer's certificates, the device's own first",
    )
    parser.add_argument("--socket", type=Path, help="Unix socket of the control plane")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    try:
        evidence = _evidence(given.credential, given.certificates)
        with Member.enrol(
            given.folder, given.url, evidence, roles=given.role, segment=given.segment, socket=given.socket
        ) as member:
            print(json.dumps({"id": member.id, "folder": str(given.folder)}) if given.json else member.id)
    except ValidationError as error:
        # It would quote the value, and that may be the token.
        return _failed(_unfit(error))
    except (ControlPlaneError, KeyFileError, ValueError, OSError) as error:
        return _failed(str(error))
    return 0


def _evidence(credential: Path | None, certificates: Path | None) -> Evidence:
    if credential is not None:
        return Credential.of_file(credential)
    return sys.stdin.read(_MAX_CHARS).strip() if certificates is None else Certificates.of_file(certificates)


_FITS = {
    "token": "standard input brought no enrolment token: pipe one in, as of `ztfm tokens issue --role ROLE "
    "--segment SEGMENT`",
    "roles": "a role is one word in small letters, such as trainer: see --role",
    "segment": "a segment is one word in small letters, such as homes: see --segment",
}


def _unfit(error: ValidationError) -> str:
    """Return what of the request does not fit, by the names of the fields alone."""
    named = {str(item["loc"][0]) for item in error.errors(include_input=False) if item["loc"]}
    said = [_FITS.get(name, f"what was given for {name} does not fit") for name in sorted(named)]
    return "; ".join(said) or "what is shown does not fit"


def _failed(why: str) -> int:
    print(f"adapters.enrol: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
