"""The figures that rows name, each once: on which page, in which table and cell it stands."""

from evaluation.coverage.figures import Figure

_HALF = "Dirichlet 0.5, means over"
_TENTH = "Dirichlet 0.1, means over"


def _of_performance(table: str, what: str, row: str, column: str | int) -> Figure:
    return Figure(what, "performance.md", f"<!-- {table} -->", row, column)


def _of_attack(what: str, attack: str, column: str, under: str = _HALF) -> Figure:
    return Figure(what, "trust.md", under, attack, column)


ADDED_AT_RATE = _of_performance(
    "overview", "added at 300 requests a second, median, ms", "added at 300 requests a second, median", "measured"
)
VERIFY = _of_performance("capabilities", "a first verification, microseconds", "first presentation", "microseconds")
MINT = _of_performance("capabilities", "minting a capability, microseconds", "minting", "microseconds")
DECISIONS = _of_performance(
    "decisions", "requests a second over raw OPA's", "two workers (the default here), mutual TLS", "`ratio_rps`"
)
GUARDED_ROUND = _of_performance(
    "rounds",
    "a guarded round over an unguarded one, Flower, one epoch",
    "Flower, the demo's",
    "`overhead_ratio` (bar 1.05)",
)
GUARDED_LONG_ROUND = _of_performance(
    "rounds", "the same, ten local epochs", "Flower, `--epochs 10", "`overhead_ratio` (bar 1.05)"
)
SCREENING = _of_performance("screening", "evidence on 100 updates of a million values, ms", "100", "evidence, ms")
LOGGING = _of_performance(
    "overview", "decisions recorded with their entries, a second", "decisions recorded", "measured"
)
PROOF = _of_performance("overview", "a proof at a million entries, ms", "a proof at 1,000,000", "measured")
GROWTH = _of_performance(
    "overview",
    "a decision at 100,000 devices over one at 10, processor time",
    "a decision at 100,000 devices",
    "measured",
)
MANY_POLICIES = _of_performance(
    "overview", "a decision at 100 policies over one at 1, processor time", "a decision at 100 policies", "measured"
)
PUBLISHING = _of_performance(
    "overview", "from publishing to deciding, the longest, s", "from publishing to deciding", "measured"
)
VERIFY_TPM = _of_performance("evidence", "verifying a TPM's quote, ms", "TPM 2.0", "`verify_ms`")
VERIFY_SNP = _of_performance("evidence", "verifying an SEV-SNP report, ms", "AMD SEV-SNP", "`verify_ms`")
VERIFY_TDX = _of_performance("evidence", "verifying SGX and TDX quotes, ms", "Intel SGX, TDX", "`verify_ms`")
MILLION = Figure(
    "decisions a second at a million devices, peak",
    "capacity.md",
    "<!-- capacity -->",
    "at the peak",
    "1,000,000 devices",
)

ENFORCED = Figure(
    "10,000 grants until they are in force", "segmentation-nftables.md", "## How fast", "of that, until", 1
)
CUT_OFF = Figure(
    "a device cut off among 10,000 grants, until it is in force",
    "segmentation-nftables.md",
    "## How fast",
    "one device cut off",
    1,
)

SUM_SERVER = Figure(
    "a sum of 100 clients of a million values, at its server",
    "confidentiality.md",
    "## What it costs",
    "the server, in all",
    "value",
)
SUM_CLIENT = Figure("the same, at a client", "confidentiality.md", "## What it costs", "a client, in all", "value")
SUM_BYTES = Figure("sent by a client", "confidentiality.md", "## What it costs", "a client sends", "value")
LIAR_FOUND = Figure(
    "a liar that turns its update around five times over, groups of 8",
    "confidentiality.md",
    "## What is seen of a lie",
    "its update times -5 | ",
    "groups of 8",
)
NOISE = Figure(
    "accuracy of the demo's task with noise of the aggregator at a multiplier of 4, 1,000 devices",
    "privacy.md",
    "## What it costs",
    "aggregator | 4",
    "1,000",
)

REGISTERED = Figure(
    "registering a device, thousands of gas",
    "ledger-evm.md",
    "## What acts cost",
    "Register a device | ",
    "Thousands of gas",
)
ROTATED = Figure(
    "rotating a key, thousands of gas",
    "ledger-evm.md",
    "## What acts cost",
    "Rotate a device's key",
    "Thousands of gas",
)
REPLICAS = Figure(
    "processor time of a decision, two replicas with shared limits, microseconds",
    "scaling.md",
    "## What it costs",
    "2 | store",
    "processor time of a decision, µs",
)

UNGUARDED = _of_attack("accuracy with sign flips, nobody on guard", "sign flip", "unguarded")
GUARDED = _of_attack("the same on guard", "sign flip", "guarded")
CLEAN = _of_attack("the same without attackers", "sign flip", "accuracy clean")
PEAK = _of_attack("success of a backdoor at boost 3, nobody on guard", "backdoor, boost 3", "attack success unguarded")
ROLLED_BACK = _of_attack("the same on guard, final model", "backdoor, boost 3", "guarded, final")
QUIET_BACKDOOR = _of_attack("success of a backdoor at boost 1, on guard", "backdoor, boost 1", "guarded, final")
QUIET_BACKDOOR_SKEWED = _of_attack("the same at Dirichlet 0.1", "backdoor, boost 1", "guarded, final", _TENTH)
CAUGHT = _of_attack("true positives, label flips", "label flip", "true positives")
CAUGHT_ALIE = _of_attack("true positives, a little is enough", "a little is enough", "true positives")
FALSE_ALARMS = _of_attack("false positives, nobody attacks", "nobody attacks", "false positives")
FALSE_ALARMS_SKEWED = _of_attack("the same at Dirichlet 0.1", "nobody attacks", "false positives", _TENTH)
ROUNDS = _of_attack("rounds to quarantine, sign flips", "sign flip", "rounds to quarantine")
NAMED = _of_attack("named rightly, sign flips", "sign flip", "named rightly")
NAMED_LABELS = _of_attack("named rightly, label flips", "label flip", "named rightly")
NAMED_SKEWED = _of_attack(
    "named rightly, sleepers who teach a backdoor, Dirichlet 0.1", "sleeper, then backdoor", "named rightly", _TENTH
)

_PROMISE = "<!-- guarantee -->"
HONEST_SET_APART = Figure(
    "honest homes set apart in 200 rounds, Dirichlet 0.5", "trust.md", _PROMISE, "as promised, Dirichlet 0.5", 1
)
HONEST_SET_APART_SKEWED = Figure("the same at Dirichlet 0.1", "trust.md", _PROMISE, "as promised, Dirichlet 0.1", 1)
WITHOUT_ALLOWANCE = Figure("the same with no allowance for unlike homes, 0.5", "trust.md", _PROMISE, "no allowance", 1)

_BEYOND = "<!-- beyond -->"


def _of_beyond(what: str, row: str, column: str = "he gets it") -> Figure:
    return Figure(what, "evaluation-beyond.md", _BEYOND, row, column)


STOLEN = _of_beyond("stolen capabilities that were of use", "stolen capability: bound")
STOLEN_OFF = _of_beyond("the same of tokens that whoever has them may use", "stolen capability: bound", "without")
ELSEWHERE = _of_beyond("capabilities of use elsewhere", "stolen capability: one audience")
NOT_ATTESTED = _of_beyond(
    "asked by a thief of a key from another machine, of a model that wants attestation", "key theft: attestation"
)
FORGED = _of_beyond("forged evidence that lets somebody in", "forged attestation: attestation")
MOVED = _of_beyond("ways from a device that was taken over", "lateral movement: micro")
MOVED_OFF = _of_beyond("the same with a router that forwards", "lateral movement: micro", "without")
FLOODED = _of_beyond("prompts of a flood that are answered", "prompt flooding: budgets")
SLANDERED = _of_beyond(
    "lies of an aggregator about an honest device that are believed", "lying aggregator: none: evidence"
)
MEMBERS = _of_beyond("members told from others by labels alone, half by guessing", "membership inference: labels")
MEMBERS_OFF = _of_beyond("the same by probabilities", "membership inference: labels", "without")

_ADVERSARIAL = ("evaluation-adversarial.md", "<!-- adversarial -->")
HARDENING = Figure(
    "time of training against a radius of 0.3, over plain training",
    *_ADVERSARIAL,
    "a radius of 0.3",
    "over plain training",
)
PLAIN_UNDER_ATTACK = Figure("accuracy at a radius of 0.3, trained plainly", *_ADVERSARIAL, "nothing", "accuracy at 0.3")
HARDENED_UNDER_ATTACK = Figure("the same, trained against it", *_ADVERSARIAL, "a radius of 0.3", "accuracy at 0.3")
HARDENED_CLEAN = Figure(
    "accuracy without perturbation, trained against it", *_ADVERSARIAL, "a radius of 0.3", "accuracy"
)
PLAIN_CLEAN = Figure("the same, trained plainly", *_ADVERSARIAL, "nothing", "accuracy")
