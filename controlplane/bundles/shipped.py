"""What an installation brings compiled: the built-in policies, and what combines layers. Read without an OPA."""

from pathlib import Path

from controlplane.bundles.archive import read_archive
from controlplane.bundles.errors import BundleRefused

BASE = "base/"
"""Before the names of the files of the built-in policies' bundle."""

LAYERS = "layers.wasm"
"""``opa/layers.rego``, compiled."""

PLACE = Path("compiled") / "embedded.pack"
"""In the folder ``opa``."""

_PACKAGE = Path(__file__).resolve().parent.parent


class NotShipped(Exception):  # noqa: N818 - a state, as callers see it
    """The installation lacks what it should bring compiled; the message says what to do."""


def read_shipped() -> dict[str, bytes]:
    """Return what is shipped, by name.

    Raises:
        NotShipped: it is not there, or not whole.
    """
    for folder in (_PACKAGE.parent / "opa", _PACKAGE / "_bundled" / "opa"):
        path = folder / PLACE
        try:
            files = read_archive(path.read_bytes())
        except FileNotFoundError:
            continue
        except (BundleRefused, OSError) as error:
            raise NotShipped(f"{path} cannot be read ({error}): reinstall ztfm") from None
        if LAYERS in files and f"{BASE}.manifest" in files:
            return files
        raise NotShipped(f"{path} is not whole: reinstall ztfm")
    raise NotShipped("this installation of ztfm has no compiled policies: reinstall it, or run from a checkout")
