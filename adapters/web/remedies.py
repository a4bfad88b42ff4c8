"""What to do about a refusal, for whoever runs the endpoint: each cause in words, with its remedy.

Callers are not told the cause, so the log of the enforcement point is where somebody who connects two parts finds it.
"""

from collections.abc import Mapping
from types import MappingProxyType

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "no_capability": "the request shows none: the caller asks the control plane for one and sends it as "
        "`Authorization: DPoP`",
        "ambiguous": "two credentials, or one that cannot be read: one `Authorization` header, one `DPoP` header",
        "malformed": "the token is no capability: an API key, or one that was cut on its way",
        "unknown_key": "another control plane signed it, or the key that did was withdrawn: caller and endpoint are to "
        "use the same control plane",
        "bad_signature": "the token was changed on its way, or is forged",
        "wrong_issuer": "another control plane gave it out: caller and endpoint are to use the same one",
        "wrong_audience": "it is for an endpoint of another name: the caller asks for one with this one's `audience`",
        "wrong_subject": "it is another's",
        "expired": "its minutes are over: the caller asks for a new one, as `Capabilities` of the SDK does; or this "
        "machine's clock is ahead",
        "not_yet_valid": "this machine's clock is behind the control plane's: set it",
        "revoked": "it, its holder or its key was revoked: `ztfm devices list` says who was set apart",
        "revocations_unknown": "nothing was heard from the control plane for 10 s: is it up, and may the gateway's key "
        "read its events?",
        "keys_lost": "the control plane's keys cannot be fetched: is it up, and is its URL right?",
        "proof_missing": "a `DPoP` header is missing, or the capability came as Bearer",
        "proof_malformed": "the `DPoP` header is no proof (RFC 9449)",
        "proof_bad_signature": "the proof was changed, or its key is not the one in it",
        "proof_stale": "the proof is older than a minute, or of a time to come: compare the clocks of caller and "
        "endpoint, and make a proof for each request",
        "proof_replayed": "the proof was used before: make one for each request, each retry too",
        "proof_wrong_target": "the proof is for another method or URL: scheme, host, port and path are to be those of "
        "the endpoint's `public_url`; localhost is not 127.0.0.1",
        "proof_wrong_token": "the proof is for another capability: its `ath` is the hash of the one that is sent",
        "wrong_key": "the capability is bound to another key than the proof's: ask and call with the same one",
        "wrong_certificate": "the capability is bound to another client certificate",
        "certificate_missing": "the capability is bound to a client certificate, and the connection showed none",
        "wrong_action": "the capability is for another action than this path's rule",
        "wrong_resource": "the capability is for another model than this path's rule",
        "wrong_round": "the capability is for another round",
        "wrong_digest": "the capability is for other weights, or names none",
        "wrong_segment": "the capability was given out for another segment",
        "wrong_purpose": "the capability is for another purpose than this path's rule",
        "wrong_shards": "the capability names parts of the weights, and the rule is not `by_shards`",
        "unknown_constraint": "the capability has a limit that this version does not know: update the endpoint",
        "too_large": "the body is larger than the capability lets it be",
        "replayed": "a capability for one use came once more: ask for a new one",
        "no_rule": "no rule of this endpoint is for this path or method: add one, or correct the caller's URL",
        "path": "the path can be read in more ways than one: no dot segments, no empty ones, no needless escapes",
        "body": "the body does not state its length, or has more than the rule's `max_body_bytes`",
    }
)
"""By the cause that the log and `on_outcome` name. A cause that is not here says all there is to say."""
