"""The attacks that verdicts name: what the catalogues of others call them, and how people do.

Identifiers are the nearest there are. MITRE ATLAS (release 5.6) has no technique for malicious updates of a
federation, and OWASP's Top 10 for LLM Applications (2025) speaks of poisoning and of consumption as a whole.
"""

from dataclasses import dataclass

from controlplane.contracts.behaviour import Attack


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an attack.

    Attributes:
        phrase: for people; continues "this looks like".
        atlas: nearest technique of MITRE ATLAS.
        owasp: nearest entry of OWASP's Top 10 for LLM Applications.
    """

    phrase: str
    atlas: str | None = None
    owasp: str | None = None


POISONING = "LLM04:2025"
CONSUMPTION = "LLM10:2025"

ATTACKS: dict[Attack, Known] = {
    "backdoor": Known("a backdoor that is being taught", "AML.T0018.000", POISONING),
    "collusion": Known("several devices that push in concert", "AML.T0018.000", POISONING),
    "extraction": Known("a model that is being copied by asking it", "AML.T0024.002", CONSUMPTION),
    "free_rider": Known("a device that does not train"),
    "label_flip": Known("training on wrong labels", "AML.T0020", POISONING),
    "malformed": Known("an update that cannot be used", "AML.T0029"),
    "membership_inference": Known("a search for who was in the training data", "AML.T0024.000", "LLM02:2025"),
    "model_poisoning": Known("an update made to harm the model", "AML.T0018.000", POISONING),
    "overuse": Known("more requests than anybody needs", "AML.T0034.000", CONSUMPTION),
    "prompt_injection": Known("instructions hidden in prompts", "AML.T0051", "LLM01:2025"),
    "replay": Known("an old update that was sent again", "AML.T0031", POISONING),
    "sign_flip": Known("an update that undoes what the others learn", "AML.T0031", POISONING),
    "stolen_identity": Known("somebody else who uses this identity", "AML.T0012"),
    "sybil": Known("one party behind several identities", "AML.T0021", POISONING),
    "unknown": Known("nothing that is known"),
}
