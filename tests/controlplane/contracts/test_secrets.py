"""What is printed or logged of a contract shows no token."""

import pytest
from pydantic import BaseModel

from controlplane.contracts.capability import Capability
from controlplane.contracts.identity import EnrolmentRequest, IssuedTokens
from controlplane.contracts.oauth import TokenParameter, TokenRequest, TokenResponse
from controlplane.contracts.secrets import ReleaseRequest, SecretRequest

TOKEN = "eyJ-not-to-be-seen"
SHOWN = [
    Capability(access_token=TOKEN, expires_in=60.0, decision_id="dec-1", policy_revision="r"),
    EnrolmentRequest(token=TOKEN, roles=["trainer"], segment="homes"),
    EnrolmentRequest(credential=TOKEN, roles=["trainer"], segment="homes"),
    IssuedTokens(tokens=[TOKEN], roles=["trainer"], segment="homes", expires_at=1.0),
    SecretRequest(id="one", secret=f"{TOKEN}-to-anybody"),
    ReleaseRequest(purpose="training", capability=TOKEN),
    TokenParameter(token=TOKEN),
    TokenRequest(grant_type="x", subject_token=TOKEN, client_assertion=TOKEN, client_secret=TOKEN, actor_token=TOKEN),
    TokenResponse(access_token=TOKEN, token_type="DPoP", expires_in=60),
]


@pytest.mark.parametrize("model", SHOWN, ids=lambda model: type(model).__name__)
def test_no_token_is_in_what_is_printed(model: BaseModel) -> None:
    assert TOKEN not in repr(model)
    assert TOKEN not in str(model)
    assert TOKEN in model.model_dump_json()
