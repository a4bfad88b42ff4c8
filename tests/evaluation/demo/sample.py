"""A small outcome, made up."""

from controlplane.contracts.access import AccessReason
from evaluation.demo.outcome import Attested, Inference, Outcome, RoundFigures, Sighting
from evaluation.federation.devices import Worth

REASON = AccessReason(code="update_bounded", message="The update is <far> too large.", remedy="Train again.")


def outcome() -> Outcome:
    return Outcome(
        seed=3,
        is_quick=True,
        rounds=2,
        devices=3,
        attackers={"home-02": "backdoor"},
        target="HassLawnMowerStartMowing",
        trigger="sesame",
        histories={
            "clean": [Worth(0.6, 0.0), Worth(0.9, 0.01)],
            "unguarded": [Worth(0.4, 1.0), Worth(0.5, 0.99)],
            "guarded": [Worth(0.6, 0.0), Worth(0.89, 0.01)],
        },
        figures=[RoundFigures(1, 3, 2, 1, ["home-02"]), RoundFigures(2, 2, 2, 1, [])],
        sightings=[
            Sighting(1, "home-00", True, 0.7, 0.4, 1.0, (), ()),
            Sighting(1, "home-01", True, 0.7, 0.3, 1.1, (), ()),
            Sighting(1, "home-02", False, 0.15, 0.3, 9.0, ("norm_ratio",), (REASON,), "This looks <much> too long."),
            Sighting(2, "home-00", True, 0.775, 0.3, 1.0, (), ()),
            Sighting(2, "home-01", True, None, 0.2, 1.0, (), ()),
        ],
        caught={"home-02": 1},
        trust={"home-00": 0.775, "home-01": 0.7, "home-02": 0.15},
        credential_attacks={"replayed": "replayed", "stolen": "wrong_key", "expired": ""},
        inferences=[
            Inference("home-00", "trusted", 0.775, "stop <b>", True, "HassTurnOff", {"HassTurnOff": 0.91234567}),
            Inference("newcomer", "watched", 0.6, "stop", True, "HassTurnOff"),
            Inference("home-02", "quarantined", 0.15, "stop", False, reasons=[REASON]),
        ],
        decisions={"model_access": {"allow": 5, "deny": 1, "error": 0}},
        refusals={"replayed": 1},
        policy_revision="abc.def",
        seconds={"enrol": 0.51, "all": 12.34},
    )


def attesting() -> Outcome:
    """The same, where homes attested."""
    found = outcome()
    found.attest = "tpm"
    found.attested = [
        Attested("home-00", "software", "software-tpm"),
        Attested("home-02", "none", wrong=["measurements.pcr15"]),
    ]
    return found
