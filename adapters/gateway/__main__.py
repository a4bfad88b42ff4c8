"""What stands before a model server: ``python -m adapters.gateway authorize ...`` or ``... proxy ...``."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

_COMMANDS: Final = {
    "authorize": ("adapters.gateway.command", "answer the question of a proxy that is already there"),
    "envoy": ("adapters.gateway.envoy_command", "answer Envoy over gRPC"),
    "proxy": ("adapters.gateway.proxy.command", "a reverse proxy of our own"),
}
_EPILOG = """Examples:

  python -m adapters.gateway authorize keys/gateway --dialect nginx --audience gateway-1 \\
      --public-url https://models.example --rules rules.json --socket /run/ztfm/authorize.sock --json
  python -m adapters.gateway proxy --help

Each command has its own --help, with an example and --json."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands, and return its exit status. Each is imported only when it is asked for."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in _COMMANDS:
        module, _what = _COMMANDS[words[0]]
        status: int = import_module(module).main(words[1:])
        return status
    _parser().parse_args(words)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.gateway",
        description="What stands before a model server: whoever asks shows a capability.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True)
    for name, (_module, what) in _COMMANDS.items():
        commands.add_parser(name, help=what, add_help=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
