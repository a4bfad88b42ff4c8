"""What an installation depends on: a bill of materials, the counts, and what is known against the pins."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

EXAMPLE = """example:
  python -m tests.supplychain bill --out build/sbom.json
  python -m tests.supplychain bill --extras server postgres
  python -m tests.supplychain counts --json
  python -m tests.supplychain audit --program build/audit/bin/pip-audit
"""


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 means that something is known against a pin, 2 that nobody could be asked."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.supplychain",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["bill", "counts", "audit"])
    parser.add_argument("--extras", nargs="*", default=["demo"], help="of the bill (default demo)")
    parser.add_argument("--out", type=Path, help="the bill's file; without it, it is printed")
    parser.add_argument("--program", type=Path, default=Path("pip-audit"), help="pip-audit, for audit")
    parser.add_argument("--json", action="store_true", help="counts and advisories as JSON")
    asked = parser.parse_args(arguments)
    return {"bill": _bill, "counts": _counts, "audit": _audit}[asked.what](asked)


def _bill(asked: argparse.Namespace) -> int:
    from tests.supplychain.listing import written

    text = written(asked.extras)
    if asked.out is None:
        print(text, end="")
    else:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text)
        print(f"{asked.out}: {len(json.loads(text)['components'])} components")
    return 0


def _counts(asked: argparse.Namespace) -> int:
    from tests.supplychain.closing import INSTALLATIONS, count

    found = {name: count(tuple(extras)) for name, extras in INSTALLATIONS.items()}
    if asked.json:
        print(json.dumps({name: {"direct": direct, "all": whole} for name, (direct, whole) in found.items()}))
    else:
        for name, (direct, whole) in found.items():
            print(f"{name}: {direct} asked for, {whole} in all")
    return 0


def _audit(asked: argparse.Namespace) -> int:
    from tests.supplychain.advisories import Unreached, audited

    try:
        looked_up, found = audited(asked.program)
    except Unreached as error:
        print(f"nothing is known: the advisory service could not be asked: {error}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps({"looked_up": looked_up, "found": [asdict(one) for one in found]}))
    else:
        print(f"{looked_up} pins looked up, {len(found)} advisories")
        for one in found:
            print(f"{one.package}: {one.id}, mended in {', '.join(one.mended) or 'no version yet'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
