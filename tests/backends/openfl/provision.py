"""As a program in OpenFL's environment: a federation's certificates and its initial weights, as `fx` makes them.

python -m tests.backends.openfl.provision FOLDER      in a folder with a workspace for each party
"""

import os
import sys
from pathlib import Path

from cryptography import x509
from openfl.cryptography.ca import generate_root_cert, generate_signing_csr, sign_certificate
from openfl.cryptography.io import write_crt, write_key
from openfl.cryptography.participant import generate_csr
from openfl.federated import Plan

AGGREGATOR, COLLABORATORS = "localhost", ("one", "two", "three", "four")


def certify(folder: Path) -> None:
    """Give each party a certificate of one authority."""
    root_key, root = generate_root_cert()
    signing_key, request = generate_signing_csr()
    signing = sign_certificate(request, root_key, root.subject, ca=True)
    for party, name in [("aggregator", AGGREGATOR), *((one, one) for one in COLLABORATORS)]:
        is_server = party == "aggregator"
        certificates = folder / party / "cert"
        place = certificates / ("server" if is_server else "client")
        place.mkdir(parents=True)
        key, request = generate_csr(name, server=is_server)
        stem = f"agg_{name}" if is_server else f"col_{name}"
        write_key(key, place / f"{stem}.key")
        write_crt(sign_certificate(request, signing_key, signing.subject), place / f"{stem}.crt")
        _chain(certificates / "cert_chain.crt", root, signing)


def _chain(path: Path, *certificates: x509.Certificate) -> None:
    parts = []
    for number, one in enumerate(certificates):
        part = path.with_suffix(f".{number}")
        write_crt(one, part)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))


def initialize(workspace: Path) -> None:
    """Leave the weights that the first round begins with."""
    os.chdir(workspace)
    Path("save").mkdir()
    plan = Plan.parse(Path("plan/plan.yaml"), Path("plan/cols.yaml"), Path("plan/data.yaml"))
    runner = plan.get_task_runner(plan.get_data_loader("one"))
    plan.save_model_to_state_file(runner.get_tensor_dict(False), 0, "save/init.pbuf")


if __name__ == "__main__":
    certify(Path(sys.argv[1]))
    initialize(Path(sys.argv[1]) / "aggregator")
