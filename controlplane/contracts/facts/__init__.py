"""The facts that OPA decides on: the one input document, per action. Rego's input schemas are generated from here.

A caller's word enters under the names of `contracts.access`; every other fact is owned by the control
plane and gathered fresh for each decision (NIST SP 800-207, tenet 4: access is determined by dynamic policy).
"""

from controlplane.contracts.attachments import ServicesQuery
from controlplane.contracts.base import StrictModel
from controlplane.contracts.behaviour import BehaviourQuery
from controlplane.contracts.facts.access import GradientSubmissionFacts, InferenceFacts, ModelAccessFacts
from controlplane.contracts.facts.admin import AdminFacts
from controlplane.contracts.facts.alert import AlertFacts
from controlplane.contracts.facts.attestation import AttestationFacts
from controlplane.contracts.facts.budget import BudgetFacts
from controlplane.contracts.facts.content import ContentFacts
from controlplane.contracts.facts.enrolment import EnrolmentFacts, IssuerQuery
from controlplane.contracts.facts.identity import IdentityFacts
from controlplane.contracts.facts.key_release import KeyReleaseFacts
from controlplane.contracts.facts.other import CandidatesQuery, OtherFacts
from controlplane.contracts.facts.response import ResponseFacts
from controlplane.contracts.facts.segmentation import SegmentationFacts
from controlplane.contracts.log import LogQuery
from controlplane.contracts.privacy import PrivacyQuery
from controlplane.contracts.site import SITE_FACTS

FACTS: dict[str, type[StrictModel]] = {
    "model_access": ModelAccessFacts,
    "gradient_submission": GradientSubmissionFacts,
    "inference": InferenceFacts,
    "other": OtherFacts,
    "admin": AdminFacts,
    "enrolment": EnrolmentFacts,
    "response": ResponseFacts,
    "alert": AlertFacts,
    "identity": IdentityFacts,
    "attestation": AttestationFacts,
    "key_release": KeyReleaseFacts,
    "budget": BudgetFacts,
    "segmentation": SegmentationFacts,
    "content": ContentFacts,
}
"""Facts by Rego package (``data.ztfm.<name>``)."""


INPUTS: dict[str, type[StrictModel]] = {
    **FACTS,
    "behaviour": BehaviourQuery,
    "candidates": CandidatesQuery,
    "issuers": IssuerQuery,
    "log": LogQuery,
    "privacy": PrivacyQuery,
    "services": ServicesQuery,
    **SITE_FACTS,
}
"""Facts, and what else is asked of the policy bundle."""
