"""Inferences at the end: the tuned model is asked by a trusted, a watched and a quarantined device."""

from adapters.errors import Denied
from adapters.member import Member
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import AccessReason
from evaluation.demo.outcome import Inference
from evaluation.demo.serving import ModelServer, ticket_for


def ask(server: ModelServer, member: Member, name: str, standing: str, trust: float, text: str) -> Inference:
    """Ask for an inference as ``member``: capability first, then the model server; a denial is an outcome, too."""
    try:
        ticket = ticket_for(member, server.name, server.audience, text)
    except Denied as denied:
        return Inference(name, standing, trust, text, answered=False, reasons=list(denied.reasons))
    answer = server.answer(text, ticket)
    if isinstance(answer, Refused):
        reason = AccessReason(code=answer.cause, message=answer.detail, remedy="Ask for a new capability.")
        return Inference(name, standing, trust, text, answered=False, reasons=[reason])
    return Inference(name, standing, trust, text, True, answer.intent, answer.likelihoods)
