"""Every module that parses bytes is reached by a target, or is named here with who made the bytes that it reads."""

from tests.fuzzing.reaching import ROOT, parsing, reached

OURS = {
    "adapters.aggregation.aggregate": "tensors that the guard has read",
    "adapters.conformance": "what the kit's own parts say to one another",
    "adapters.fleet": "files of whoever runs the command",
    "adapters.flower.proxy.bindings": "the proxy's own file",
    "adapters.gateway.rulefile": "a file of whoever runs the gateway",
    "adapters.hiding": "the device's own updates",
    "adapters.jobs.keeping": "the aggregator's own folder",
    "adapters.naming": "numbers that are written, not read",
    "adapters.noising": "a seed of the system",
    "adapters.nvflare": "settings of the job; what sites send is read by its own codec",
    "adapters.openfl": "settings of the job; what collaborators send is read by its own codec",
    "adapters.sealed.demanded": "the device's own files",
    "adapters.secureaggregation.shamir": "numbers of a length that was looked at",
    "adapters.segments.keeping": "the router's own folder",
    "adapters.signals.patterns": "digests that are made here",
    "adapters.site": "the device's own folder, and its own policies",
    "controlplane.api.openapi": "samples that are shipped",
    "controlplane.authoring": "a policy author's own folder, and what OPA says of it",
    "controlplane.behavior": "digests that are made here",
    "controlplane.bundles": "bundles that were verified before",
    "controlplane.capabilities.broadcasting": "rows of the store",
    "controlplane.capabilities.sealing": "rows of the store, which are sealed",
    "controlplane.capabilities.statements": "rows of the store",
    "controlplane.cli": "files and answers of whoever runs the command",
    "controlplane.contracts.trusthistory": "rows of the store",
    "controlplane.decisions": "rows of the store, and what the control plane's own OPA answers",
    "controlplane.history": "records of the store, or a file of whoever runs the command",
    "controlplane.identity.authorities": "rows of the store",
    "controlplane.identity.authority": "the authority's own file",
    "controlplane.identity.ledgers.evm.compiled": "a contract that is shipped",
    "controlplane.identity.pinned": "a file of whoever runs the control plane",
    "controlplane.releases": "what was built and signed here",
    "controlplane.segmentation.wireguard": "a table of the control plane",
    "controlplane.serving_certificate": "the control plane's own files",
    "controlplane.sharing.memory": "digests that are made here",
    "controlplane.sidecar": "what is shipped, and a download whose digest is pinned",
    "controlplane.storage": "rows of the store",
    "controlplane.transparency.keys": "the log's own file",
    "controlplane.workers": "what the parent and its workers say to one another",
}
"""Modules and packages whose bytes come from this very program, or from whoever may run it."""

ELSEWHERE = {
    "adapters.attesting": "tests/controlplane/attestation/tpm",
    "adapters.distributed.mailbox": "tests/adapters/distributed",
    "adapters.enrolment": "tests/adapters/test_enrol.py",
    "adapters.flower.mod": "tests/adapters/flower/test_supernode.py",
    "adapters.flower.proxy.calling": "tests/adapters/flower/test_proxy.py",
    "adapters.gateway.content.probing": "tests/adapters/gateway/content",
    "adapters.http": "tests/adapters/http/test_refusals.py",
    "adapters.jobs.masking": "tests/adapters/secureaggregation/test_cheating_server.py",
    "adapters.mqtt.client": "tests/adapters/mqtt/test_refusals.py",
    "adapters.platform": "tests/adapters/test_platform.py",
    "adapters.secureaggregation": "tests/adapters/secureaggregation/test_cheating_client.py",
    "adapters.segments.tables": "tests/adapters/segments/test_command.py",
    "adapters.signals.reading": "tests/adapters/signals",
    "adapters.svid.source": "tests/adapters/svid",
    "adapters.web.point": "tests/adapters/web/test_attacks.py",
    "controlplane.api": "tests/controlplane/api/test_fuzzing.py",
    "controlplane.attestation": "tests/controlplane/attestation/test_flipping.py",
    "controlplane.audit": "tests/controlplane/audit",
    "controlplane.confidentiality": "tests/controlplane/confidentiality",
    "controlplane.identity.codeflow": "tests/controlplane/identity/test_codeflow.py",
    "controlplane.identity.credentials.manufacturers": "tests/controlplane/identity/credentials/test_manufacturers.py",
    "controlplane.identity.ledgers": "tests/controlplane/identity/ledgers",
    "controlplane.identity.people": "tests/controlplane/identity/test_people.py",
    "controlplane.identity.provider": "tests/controlplane/identity/test_provider.py",
    "controlplane.witness": "tests/controlplane/witness",
}
"""Modules and packages that read foreign bytes, and which tests feed them what is hostile."""


def _named(module: str, names: set[str]) -> list[str]:
    return [name for name in names if module == name or module.startswith(f"{name}.")]


def test_what_parses_foreign_bytes_is_fuzzed_or_is_named_with_the_reason() -> None:
    unreached = parsing() - reached()
    known = {*OURS, *ELSEWHERE}
    assert sorted(module for module in unreached if not _named(module, known)) == []
    # A name that nothing stands behind any more goes.
    assert known - {name for module in unreached for name in _named(module, known)} == set()
    assert len(parsing() & reached()) >= 50


def test_the_tests_that_are_named_are_there() -> None:
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []
