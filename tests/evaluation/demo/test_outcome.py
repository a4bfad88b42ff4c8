import json

from tests.evaluation.demo.sample import attesting, outcome


def test_the_json_object_holds_every_figure_that_is_promised() -> None:
    figures = json.loads(json.dumps(outcome().to_json()))
    assert figures["clean_accuracy"] == 0.9
    assert figures["unguarded_asr"] == 0.99
    assert (figures["attackers"], figures["attackers_caught"], figures["honest_quarantined"]) == (1, 1, 0)
    assert figures["decisions"]["model_access"] == {"allow": 5, "deny": 1, "error": 0}
    assert figures["policy_revision"] == "abc.def"


def test_an_attack_on_credentials_that_passed_is_not_counted_as_refused() -> None:
    assert outcome().to_json()["credential_attacks"] == {"replayed": 1, "stolen": 1, "expired": 0}


def test_least_trust_is_that_of_honest_devices() -> None:
    assert outcome().to_json()["least_honest_trust"] == 0.7


def test_inferences_name_the_reasons_of_a_denial() -> None:
    assert outcome().to_json()["inferences"][2]["reasons"] == ["update_bounded"]


def test_what_homes_proved_is_told_and_nothing_where_none_was_asked() -> None:
    assert outcome().to_json()["attestation"] == {"by": "none", "proven": {}, "refused": {}}
    refused = {"home-02": ["measurements.pcr15"]}
    assert attesting().to_json()["attestation"] == {"by": "tpm", "proven": {"software": 1}, "refused": refused}
