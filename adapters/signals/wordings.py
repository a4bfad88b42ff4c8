"""The wordings of prompt injections and jailbreaks that `adapters.signals.patterns` knows, kind by kind.

Patterns are matched against lower case with single spaces. Gaps are bounded, so that no text takes long.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One kind of wording.

    Attributes:
        name: of the kind.
        weight: chance that a text with it is an attempt, all else unknown.
        needs: parts of words, of which a text holds one where the pattern matches.
        pattern: that the text has.
    """

    name: str
    weight: float
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(name: str, weight: float, needs: str, *wordings: str) -> Rule:
    return Rule(name, weight, tuple(needs.split("|")), re.compile("|".join(wordings)))


_GAP = r"[^.!?\n]{0,40}?"
_DROP = r"\b(?:ignore|disregard|forget|override|overrule|discard|bypass|set aside)"
_PRIOR = r"\b(?:previous|prior|above|earlier|preceding|foregoing|existing|original|initial|system)\b"
_EVERY = r"\b(?:all|any|every|your|these|those)\b"
_ORDERS = r"\b(?:instruction|prompt|rule|direction|guideline|guardrail|polic(?:y|ie)|constraint|message)s?\b"
_PERSONA = r"\b(?:you are|you're|act as|behave as|pretend|role-?play|respond as|simulate)"
_BARLESS = r"\b(?:no|without|free (?:of|from)|not bound by|unbound by)"
_BARS = r"\b(?:restrict\w*|limit\w*|filter\w*|rules?|guidelines?|censor\w*|safety|safeguards?|moral\w*|ethic\w*)"
_TELL = r"\b(?:reveal|show|print|repeat|output|display|leak|dump|recite|give me|tell me|write out|translate)"
_HIDDEN = r"\b(?:system|hidden|secret|initial|original|developer|internal|above)\b"

RULES: tuple[Rule, ...] = (
    _rule(
        "override",
        0.8,
        "ignor|disregard|forget|overr|discard|bypass|set aside",
        _DROP + _GAP + _PRIOR + _GAP + _ORDERS,
        _DROP + _GAP + _EVERY + _GAP + _ORDERS,
        r"\bforget (?:all|everything) (?:that )?(?:you|above|before|i said)\b",
        r"\bignorier\w* .{0,20}\b(?:vorherig|bisherig|obig|alle)\w* .{0,20}\b(?:anweisung|instruktion|regel)\w*",
        r"\bignore[zr]? .{0,20}\b(?:instructions|consignes|règles) .{0,20}\b(?:précédentes|antérieures|ci-dessus)",
        r"\bignora[rd]? .{0,20}\b(?:instrucciones|reglas) .{0,20}\b(?:anteriores|previas)",
    ),
    _rule(
        "unbound",
        0.7,
        "restrict|limit|filter|rule|guideline|censor|safe|moral|ethic| mode|jailb|anything now",
        _PERSONA + _GAP + _BARLESS + _GAP + _BARS,
        r"\b(?:unrestricted|unfiltered|uncensored|jailbroken|amoral) (?:ai|assistant|model|mode|chatbot|version)\b",
        r"\b(?:developer|god|dan|jailbreak|debug|root|sudo) mode\b.{0,30}\b(?:on|enabled?|activated?|now)\b",
        r"\b(?:enable|activate|enter|switch to|turn on) .{0,12}\b(?:developer|god|dan|jailbreak|unrestricted) mode\b",
        r"\bdo anything now\b",
    ),
    _rule(
        "extraction",
        0.7,
        "instruction|prompt|rule|direction|guideline|guardrail|polic|constraint|message|above|before|so far",
        _TELL + _GAP + _HIDDEN + _GAP + _ORDERS,
        r"\b(?:what|which) (?:is|are|was|were) your (?:system|initial|original|hidden|exact) "
        r"(?:prompt|instructions?|rules?)\b",
        r"\brepeat (?:everything|all|the (?:text|words)) (?:above|before|so far)\b",
    ),
    _rule(
        "markup",
        0.6,
        "<|[inst|[/inst|[system|##|**|==",
        r"<\|?/?(?:im_start|im_end|system|assistant|endoftext|start_header_id|begin_of_text)\|?>",
        r"\[/?inst\]|<</?sys>>",
        r"(?:^|\n) ?(?:#{2,9}|\*\*|\[|={1,9}) ?(?:system|developer|assistant)"
        r"(?: (?:prompt|message|note|instructions?))? ?[\]:*#=]",
    ),
    _rule(
        "order",
        0.5,
        "new |updated|important|revised|real |from now on|true |only ",
        r"(?:^|\n|[.!?] ) ?(?:new|updated|important|revised|real) (?:system )?"
        r"(?:instruction|task|rule|objective)s? ?:",
        r"\bfrom now on\b.{0,20}\byou (?:will|must|shall|are|only)\b",
        r"\byour (?:new|real|true|only) (?:instructions?|task|role|goal|purpose|objective) (?:is|are)\b",
    ),
    _rule(
        "authority",
        0.35,
        "developer|creator|admin|owner|engineer|vendor",
        r"\b(?:i am|i'm|this is|speaking as) (?:your|the|an?) (?:\w{1,20} )?"
        r"(?:developer|creator|administrator|admin|owner|engineer)\b",
        r"\b(?:authori[sz]ed|approved|cleared) by (?:the |your )?(?:vendor|developers?|admins?|administrators?)\b",
    ),
    _rule(
        "compliance",
        0.35,
        "not |n't |never |without |with ",
        r"\b(?:do not|don't|never|must not|cannot|can't) (?:refuse|decline|apologi[sz]e|warn|lecture|say no)\b",
        r"\bwithout (?:any )?(?:warnings?|disclaimers?|refus\w+|caveats?|censor\w*)\b",
        r"\b(?:begin|start) (?:your (?:answer|reply|response) )?with ['\"]?(?:sure|absolutely|of course|yes)\b",
    ),
    _rule(
        "smuggling",
        0.35,
        "base64|rot13|rot-13|hex|morse|cipher|binary|http",
        r"\b(?:decode|decipher|decrypt|unscramble)\b.{0,30}\b(?:base64|rot-?13|hex|morse|cipher|binary)\b.{0,40}"
        r"\b(?:follow|execute|obey|do|answer|comply|run)\b",
        r"!\[[^\]]{0,40}\]\(https?://[^)\s?]{0,200}\?",
        r"\b(?:send|post|forward|upload|exfiltrate|append)\b.{0,60}\b(?:to|at) https?://",
    ),
    _rule(
        "fiction",
        0.15,
        "hypothetic|fictional|purpose|a game",
        r"\b(?:hypothetically|in a fictional (?:world|story))\b",
        r"\bpurely (?:for )?(?:educational|academic|research) purposes?\b",
        r"\b(?:let's|we) (?:play|are playing) a game\b",
    ),
)
