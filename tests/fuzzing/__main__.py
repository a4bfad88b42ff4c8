"""Fuzz a parser of foreign bytes: with atheris, which follows what inputs reach, or with changes at random."""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

EXAMPLE = """example:
  python -m tests.fuzzing tpm_quote --seconds 60
  python -m tests.fuzzing capability_claims --seconds 600 --seed 7
  python -m tests.fuzzing all --seconds 10 --plain --json
"""


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 means that an input was found which does what none may do."""
    from tests.fuzzing.targets import NAMES

    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzzing",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parser", choices=[*NAMES, "all"], help="what is fuzzed; all: one after the other, --plain")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, each (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the changes (default 0)")
    parser.add_argument("--plain", action="store_true", help="changes at random, even where atheris is installed")
    parser.add_argument("--json", action="store_true", help="one JSON object for each parser")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("error")
    if not (asked.plain or asked.parser == "all") and _has_atheris():
        _follow(asked.parser, asked.seconds, asked.seed)
    failed = [name for name in (NAMES if asked.parser == "all" else [asked.parser]) if not _change(name, asked)]
    return 1 if failed else 0


def _change(name: str, asked: argparse.Namespace) -> bool:
    from tests.fuzzing.mutating import Crashed, run
    from tests.fuzzing.targets import target

    try:
        found = run(target(name), seed=asked.seed, seconds=asked.seconds)
    except Crashed as crashed:
        print(json.dumps({"parser": name, "crash": str(crashed)}) if asked.json else f"{name}: {crashed}")
        return False
    if asked.json:
        print(json.dumps({"parser": name, **vars(found)}))
    else:
        print(f"{name}: {found.tried} inputs, {found.accepted} accepted, slowest {found.slowest * 1000:.1f} ms")
    return True


def _has_atheris() -> bool:
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed: inputs are changed at random instead", file=sys.stderr)
        return False
    return True


def _follow(name: str, seconds: float, seed: int) -> None:
    """Fuzz with atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["adapters", "controlplane"]):
        from tests.fuzzing.targets import target

        found = target(name)
    corpus = Path(tempfile.mkdtemp(prefix="fuzzing-"))
    for place, data in enumerate(found.seeds):
        (corpus / f"seed-{place}").write_bytes(data)
    options = [f"-max_total_time={int(seconds)}", f"-seed={seed + 1}", "-max_len=65536", "-timeout=10"]
    options.append(f"-artifact_prefix={corpus}-")

    def _once(data: bytes) -> None:
        found.try_one(data)

    atheris.Setup([sys.argv[0], *options, str(corpus)], _once)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
