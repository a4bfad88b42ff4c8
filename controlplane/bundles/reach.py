"""What a bundle's rules may not call, looked for without OPA wherever a bundle is taken, checked before or not.

Whoever holds a layer's key and can write to the store needs no publisher, whose compiler knows the builtins; and OPA
cannot be told, when it serves, which of them to do without. So this goes by the text. It may take something harmless
for a call, and says so before a release; it misses none, since a builtin has one name that rules cannot give another.
"""

import re
from collections.abc import Mapping

from controlplane.bundles.errors import BundleRefused
from controlplane.contracts.builtins import FORBIDDEN

_ASIDE = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*')
"""Strings and comments, as OPA's scanner ends them."""

_TEMPLATE = re.compile(r'\$["`]')
"""Begins a string with expressions in it."""

_DOT = r"[\s)]*\.\s*"
"""Between the parts of a name; `(http).send` is `http.send` too."""

_CALLS = re.compile(
    r"(?<![\w.])(?:" + "|".join(name.replace(".", _DOT) for name in sorted(FORBIDDEN)) + r")(?!\w)",
)
_INDEXED = re.compile(
    r"(?<![\w.])(?:"
    + "|".join(sorted({name.split(".")[0] for name in FORBIDDEN}))
    + rf")(?:{_DOT}\w+)*[\s)]*\[\s*[\"`]"
)
"""`http["send"]` is `http.send`."""


def require_confined(files: Mapping[str, bytes]) -> None:
    """Return when no rule among a bundle's files names a builtin that no policy may call.

    Raises:
        BundleRefused: ``does_not_compile``, as the publisher's compiler says it: one does, or spells the name of one in
            another way.
    """
    for name, content in sorted(files.items()):
        if name.endswith(".rego"):
            called = _called(content.decode("utf-8", "replace"))
            if called:
                raise BundleRefused("does_not_compile", f"{name}:{called}. {_REMEDY}")


_REMEDY = "Decide from input and data alone; the time is input.context.time, in seconds."


def _called(text: str) -> str:
    # Within such strings calls are made, so all of the file is looked at as it is.
    rules = text if _TEMPLATE.search(text) else _ASIDE.sub(_blank, text)
    if found := _CALLS.search(rules):
        builtin = re.sub(r"[\s)]", "", found[0])
        said = f"The builtin {builtin} {FORBIDDEN[builtin]}, which no policy may"
    elif found := _INDEXED.search(rules):
        said = f"What {found[0].split('[')[0]}[...] names may be a builtin that no policy may call"
    else:
        return ""
    return f"{rules.count(chr(10), 0, found.start()) + 1}: {said}"


def _blank(match: re.Match[str]) -> str:
    # That there was a string is kept: it may be the name of a builtin. So are its lines.
    return ('""' if match[0][0] in '"`' else " ") + "\n" * match[0].count("\n")
