"""A folder of the policies of a tenant or a site, which stand beside the base and only narrow what it allows."""

import json
from dataclasses import dataclass
from pathlib import Path

from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.folder import PolicyFolder, read_json
from controlplane.contracts.facts import FACTS
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.site import SITE_FACTS

STAND_IN = "base_decides"
"""What a base requires that allows everything: a layer's folder is asked without the real one."""

_GRANTED = {"allow": True, "obligations": {}, "reasons": [], "rules": [STAND_IN], "ttl_seconds": 300}


@dataclass(frozen=True)
class LayerFolder(PolicyFolder):
    """Policies that own ``data.<layer>`` and nothing else.

    Attributes:
        root: the folder that holds one of the layer's name.
        layer: ``tenant`` or ``site``.
    """

    layer: PolicyLayer

    @property
    def combining(self) -> Path:
        """The module that combines layers; it lies beside OPA, and beside the product's policies."""
        return self.built_in.parent / "opa" / "layers.rego"

    @property
    def combination(self) -> str:
        """A Rego term: decisions by id, as the layer narrows a base that allows whatever the input asks."""
        granted = f"{{id: {json.dumps(_GRANTED)} | some questions in input; some id, _ in questions}}"
        own = f'"answers": data.{self.layer}.batch.answers, "reasons": {json.dumps(self.reasons())}'
        return (
            f'data.combined.narrow({{"revision": "base", "decisions": {granted}}}, ["{self.layer}"], '
            f'{{"{self.layer}": {{"revision": "asked", {own}}}}}).decisions'
        )

    def own_code(self, code: str) -> str:
        """Return a code as the layer's own rules name it."""
        return code.removeprefix(f"{self.layer}:")

    def rules_of(self, package: str) -> list[Path]:
        """Return the layer's files, whatever is asked about."""
        return self.rego_files()

    def decisions(self) -> list[str]:
        """Return what a layer answers about: all of the product's decisions, and what a site asks that has examples."""
        own = [name for name in SITE_FACTS if self.layer == "site" and self._examples(name).is_dir()]
        return [*FACTS, *own]

    def example_files(self, package: str) -> list[Path]:
        """Return the example files of what the layer says about a decision, in order of name."""
        return sorted(self._examples(package).glob("*.json"))

    def _examples(self, package: str) -> Path:
        return self.root / self.layer / "examples" / package

    def data_folders(self) -> list[Path]:
        """Return the folders of data, each with a ``data.json``."""
        return sorted(path.parent for path in self.root.rglob("data.json"))

    def reasons(self) -> dict[str, dict[str, str]]:
        """Return message and remedy by code; none of them where they cannot be read."""
        found = read_json(self.reasons_file)
        return found if isinstance(found, dict) else {}

    @property
    def reasons_file(self) -> Path:
        """Where the texts of the layer's reasons are."""
        return self.root / self.layer / "reasons" / "data.json"


def open_folder(root: Path, built_in: Path, layer: PolicyLayer = "base") -> PolicyFolder:
    """Return the folder of a layer's policies.

    Raises:
        AuthoringError: it holds none.
    """
    if layer == "base":
        return PolicyFolder.open(root, built_in)
    if not (root / layer).is_dir():
        raise AuthoringError(
            f"{root} holds no policies of a {layer}: name a folder with {layer}/ in it; "
            f"ztfm policy new NAME --layer {layer} --policies {root} makes one"
        )
    return LayerFolder(root.resolve(), built_in.resolve(), layer)
