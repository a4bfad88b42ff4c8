"""Where the product's own files lie: in a checkout, or inside an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def product_folder(name: str) -> Path:
    """Return the folder ``policies`` or ``opa`` of this installation.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    for candidate in (_PACKAGE.parent / name, _PACKAGE / "_bundled" / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"this installation of ztfm has no folder '{name}': reinstall it, or run from a checkout")


def beside() -> tuple[Path, ...]:
    """Return the modules that OPA has beside its bundles: who may use its API, and how layers are combined.

    Raises:
        FileNotFoundError: the installation lacks them.
    """
    return tuple(product_folder("opa") / name for name in ("authz.rego", "layers.rego"))


def tools_folder() -> Path:
    """Return the folder that built tools go to: ``.tools/bin`` in a checkout, else the user's cache."""
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        return _PACKAGE.parent / ".tools" / "bin"
    return Path.home() / ".cache" / "ztfm" / "bin"
