"""The rows: what the paper names (Zero-Trust Foundation Models, arXiv 2505.23792), in its order."""

from evaluation.coverage import measured as figures
from evaluation.coverage.thing import Thing

PRINCIPLES = (
    Thing(
        name="Continuous verification",
        does="Each pull, update and inference is decided anew from facts that the control plane knows: status, trust, "
        "attestation, holds. What was granted ends within minutes, and within a second where it is revoked.",
        pages=("architecture.md#one-requests-way", "why-denied.md"),
        policies=("model_access", "gradient_submission", "inference"),
        tests=(
            "tests/controlplane/decisions/test_gathering.py",
            "tests/controlplane/decisions/test_decider.py",
            "tests/controlplane/api/test_shut_out.py",
            "tests/adapters/guard/test_following.py",
        ),
        cost=(figures.DECISIONS, figures.ADDED_AT_RATE),
        gain=(figures.NOT_ATTESTED, figures.FLOODED),
    ),
    Thing(
        name="Least privilege",
        does="A permit is for one device, one action, one resource and one enforcement point, lives for minutes, works"
        " with the device's own key alone, and carries its limits. A submission works once.",
        pages=("policies.md", "api.md"),
        policies=("model_access", "gradient_submission", "inference", "admin"),
        tests=(
            "tests/controlplane/capabilities/test_attacks.py",
            "tests/controlplane/capabilities/test_verification.py",
            "tests/controlplane/api/test_attacks.py",
            "tests/adapters/guard/test_attacks.py",
        ),
        cost=(figures.VERIFY, figures.MINT),
        gain=(figures.STOLEN, figures.STOLEN_OFF, figures.ELSEWHERE),
    ),
    Thing(
        name="Data confidentiality",
        does="Weights at rest and updates on their way are sealed to keys that attested platforms get, and updates are"
        " noised within a budget that policy charges before anything is given out.",
        pages=("key-release.md", "privacy.md", "confidentiality.md"),
        policies=("key_release", "privacy"),
        tests=(
            "tests/controlplane/api/test_confidentiality.py",
            "tests/adapters/sealed/test_updates.py",
            "tests/controlplane/confidentiality/privacy/test_accountant.py",
            "tests/adapters/privacy/test_rounds.py",
        ),
        cost=(figures.NOISE,),
        gain=(figures.MEMBERS, figures.MEMBERS_OFF),
        lacks="What an attacker learns less of updates was not measured; epsilon bounds it.",
    ),
    Thing(
        name="Behavioural analytics",
        does="Evidence on updates, requests and inferences becomes trust in a device, which every decision reads. Who "
        "attacks is set apart, and its part in the model is undone.",
        pages=("trust.md", "rollback.md"),
        policies=("behaviour", "response"),
        tests=(
            "tests/controlplane/behavior/test_judge.py",
            "tests/controlplane/behavior/test_attacks.py",
            "tests/controlplane/behavior/requests/test_simulation.py",
            "tests/evaluation/trust/test_guarded.py",
        ),
        cost=(figures.SCREENING, figures.GUARDED_ROUND),
        gain=(figures.ROUNDS, figures.PEAK, figures.ROLLED_BACK, figures.QUIET_BACKDOOR, figures.QUIET_BACKDOOR_SKEWED),
        lacks="A backdoor no longer than an honest update is found late or never, as the figures say.",
    ),
)

MEANS = (
    Thing(
        name="Federated learning",
        does="Adapters guard Flower, NVIDIA FLARE, OpenFL, APPFL, PyTorch loops, HTTP and MQTT: who may pull, whose "
        "update counts, how updates are brought together, and what is undone.",
        pages=("adapters.md", "integrating.md", "architecture.md#one-updates-way"),
        policies=("model_access", "gradient_submission"),
        tests=(
            "tests/adapters/conformance/test_kit.py",
            "tests/adapters/flower/test_simulation.py",
            "tests/adapters/rollback/test_replay.py",
            "tests/evaluation/demo/test_demo.py",
        ),
        cost=(figures.GUARDED_ROUND, figures.GUARDED_LONG_ROUND),
        gain=(figures.UNGUARDED, figures.GUARDED, figures.CLEAN),
    ),
    Thing(
        name="Ledger identity",
        does="A device is named after its key. Founders sign its records, which lie in the transparency log or on an "
        "EVM chain; what does not agree with them is found, and policy says what is done.",
        pages=("identity.md", "ledger-evm.md"),
        policies=("identity", "enrolment", "issuers"),
        tests=(
            "tests/controlplane/identity/ledgers/test_conformance.py",
            "tests/controlplane/identifiers/test_histories.py",
            "tests/controlplane/test_identifying.py",
        ),
        cost=(figures.REGISTERED, figures.ROTATED, figures.PROOF),
        lacks="Founders that collude can register devices; it cannot happen unseen.",
    ),
    Thing(
        name="Micro-segmentation",
        does="Devices live in segments by place and kind. A capability opens one way through the routers to one "
        "service, and ends with it; the grants are compiled to nftables, WireGuard, Kubernetes, Cilium and nginx,"
        " and read back.",
        pages=("segmentation.md", "segmentation-nftables.md", "segmentation-compilers.md"),
        policies=("segmentation",),
        tests=(
            "tests/adapters/segments/test_packets.py",
            "tests/adapters/segments/test_live.py",
            "tests/controlplane/segmentation/test_reachability.py",
        ),
        cost=(figures.ENFORCED, figures.CUT_OFF),
        gain=(figures.MOVED, figures.MOVED_OFF),
        lacks="Not between two devices on one switch.",
    ),
    Thing(
        name="Trusted execution environments",
        does="Evidence of TPMs, SEV-SNP, TDX, SGX, Nitro, Hopper and Azure's machines is verified and appraised by "
        "reference values; a model can ask for it at each decision, and for an aggregator that is attested.",
        pages=("attestation.md", "attestation-enclaves.md", "confidentiality.md#attested-aggregators"),
        policies=("attestation", "key_release"),
        tests=(
            "tests/controlplane/attestation/verifiers/test_snp.py",
            "tests/controlplane/attestation/verifiers/test_intel.py",
            "tests/controlplane/attestation/verifiers/test_tpm.py",
            "tests/controlplane/attestation/test_flipping.py",
        ),
        cost=(figures.VERIFY_TPM, figures.VERIFY_SNP, figures.VERIFY_TDX),
        gain=(figures.FORGED,),
        lacks="A platform is as good as its maker. Training within an enclave is not part of this.",
    ),
    Thing(
        name="Anomaly detection",
        does="Each update is measured against its cohort, and compared with what comparable honest peers score; "
        "p-values become bets whose stake bounds how often an honest device is ever set apart.",
        pages=("trust.md#from-an-update-to-a-verdict",),
        policies=("behaviour", "response", "gradient_submission"),
        tests=(
            "tests/controlplane/behavior/test_scores.py",
            "tests/controlplane/behavior/test_conformal.py",
            "tests/adapters/screening/test_screen.py",
        ),
        cost=(figures.SCREENING,),
        gain=(figures.CAUGHT, figures.CAUGHT_ALIE, figures.FALSE_ALARMS, figures.FALSE_ALARMS_SKEWED),
        lacks="An attacker who stays where honest devices are is not found.",
    ),
    Thing(
        name="Adversarial training",
        does="Devices of the evaluation can learn each batch from perturbed vectors too, within a norm. Policy "
        "neither asks for it nor sees it.",
        pages=("evaluation-adversarial.md",),
        policies=(),
        tests=("tests/evaluation/adversarial/test_adversarial.py",),
        cost=(figures.HARDENING, figures.HARDENED_CLEAN, figures.PLAIN_CLEAN),
        gain=(figures.PLAIN_UNDER_ATTACK, figures.HARDENED_UNDER_ATTACK),
        lacks="Nothing of the screening model is learnt by gradients, so it is not trained like this.",
    ),
    Thing(
        name="Secure aggregation",
        does="A model can ask that its updates are added up under masks, in groups that the control plane draws: the "
        "aggregator sees means alone, which are screened; liars are singled out over rounds.",
        pages=("confidentiality.md#groups", "confidentiality.md#what-nobody-protects-here"),
        policies=("gradient_submission", "admin"),
        tests=(
            "tests/adapters/secureaggregation/test_cheating_server.py",
            "tests/adapters/secureaggregation/test_cheating_client.py",
            "tests/adapters/secureaggregation/test_dropouts.py",
            "tests/controlplane/behavior/test_groups.py",
        ),
        cost=(figures.SUM_SERVER, figures.SUM_CLIENT, figures.SUM_BYTES),
        gain=(figures.LIAR_FOUND,),
        lacks="What hides updates hides liars too: see what is seen of a lie on the page.",
    ),
)

CHALLENGES = (
    Thing(
        name="Scalability",
        does="Enforcement points verify offline, so a use of a capability asks nobody. Replicas share a database and "
        "count limits together; what a decision costs does not grow with devices, exceptions or policies.",
        pages=("scaling.md", "capacity.md", "performance.md#growth"),
        policies=(),
        tests=(
            "tests/benchmarks/test_growth.py",
            "tests/controlplane/replicas/test_replicas.py",
            "tests/benchmarks/test_capacity.py",
        ),
        cost=(figures.REPLICAS, figures.LOGGING),
        gain=(figures.GROWTH, figures.MANY_POLICIES, figures.MILLION),
        lacks="No fleet of a million devices was run; that figure is arithmetic.",
    ),
    Thing(
        name="Secure orchestration",
        does="Policies are tested, signed, tried beside the live ones and taken back; a release that nobody trusted "
        "signed decides nothing. Manifests put the sidecar into the control plane's pod, and alerts ask policy "
        "what to do.",
        pages=("policy-bundles.md", "policy-shadow.md", "deploying.md", "alert-response.md", "model-integrity.md"),
        policies=("alert", "admin"),
        tests=(
            "tests/controlplane/releases/test_publishing.py",
            "tests/controlplane/bundles/test_signing.py",
            "tests/deploy/test_kubernetes.py",
            "tests/controlplane/api/test_alerts.py",
        ),
        cost=(figures.PUBLISHING,),
        lacks="Where workloads are placed is the orchestrator's business, not decided here.",
    ),
    Thing(
        name="Interpretable threat attribution",
        does="A verdict names the measurements and tensors that caused it, the attack that looks like it with its "
        "identifier in MITRE ATLAS, and each denial says what was missing and what to do.",
        pages=("trust.md#attacks-and-what-becomes-of-them", "why-denied.md", "audit.md"),
        policies=("response",),
        tests=(
            "tests/controlplane/behavior/test_attribution.py",
            "tests/controlplane/authoring/test_explaining.py",
            "tests/controlplane/api/test_provenance.py",
        ),
        gain=(figures.NAMED, figures.NAMED_LABELS, figures.NAMED_SKEWED),
        lacks="What it costs alone was not measured: it is part of a guarded round.",
    ),
    Thing(
        name="Dynamic trust calibration",
        does="Trust is a lower confidence bound that forgets; what sets a device apart is calibrated on honest peers, "
        "so that the chance of an honest one is bounded at whatever moment one looks.",
        pages=("trust.md#what-is-promised", "trust.md#the-terms"),
        policies=("behaviour", "response"),
        tests=(
            "tests/controlplane/behavior/test_trust.py",
            "tests/controlplane/behavior/test_betting.py",
            "tests/evaluation/guarantee/test_calibration.py",
        ),
        gain=(figures.HONEST_SET_APART, figures.HONEST_SET_APART_SKEWED, figures.WITHOUT_ALLOWANCE),
        lacks="The assumption is measured on the demo's task alone. What it costs alone was not measured.",
    ),
)

PARTS = {"Principles": PRINCIPLES, "Means": MEANS, "Open challenges": CHALLENGES}
"""Everything, under the headings of the document."""
