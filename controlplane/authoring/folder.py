"""A folder of policies: where its decisions, tests, examples, data and schemas lie."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.authoring.errors import AuthoringError
from controlplane.contracts.facts import FACTS

_IMPORT = re.compile(r"^import data\.(ztfm(?:\.\w+)+)", re.MULTILINE)
EXTRA = "extra"
OTHER = "other"


@dataclass(frozen=True)
class Example:
    """A file of a decision's ``examples`` folder.

    Attributes:
        package: of the decision, such as ``inference`` or ``extra/door``.
        path: of the file.
        decision: whether it is to be allowed.
        reasons: the codes to expect, in order.
    """

    package: str
    path: Path
    title: str
    input: dict[str, Any]
    decision: bool
    reasons: list[str]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def contract(self) -> str:
        """The name of the contract that its input fits."""
        return contract_of(self.package)


def contract_of(package: str) -> str:
    """Return the name in `FACTS` of what a decision's input looks like."""
    return OTHER if package.startswith(f"{EXTRA}/") else package


@dataclass(frozen=True)
class PolicyFolder:
    """Policies with the layout of the product's own.

    Attributes:
        root: the folder that holds ``ztfm`` and ``data``.
        built_in: the product's own, which stands in for schemas and linter rules that ``root`` lacks.
    """

    root: Path
    built_in: Path

    @classmethod
    def open(cls, root: Path, built_in: Path) -> "PolicyFolder":
        """Return the folder.

        Raises:
            AuthoringError: it holds no policies.
        """
        if not (root / "ztfm").is_dir():
            raise AuthoringError(
                f"{root} holds no policies: name a folder with ztfm/ and data/ in it, as {built_in} is"
            )
        return cls(root.resolve(), built_in.resolve())

    @property
    def schemas(self) -> Path:
        """The folder of the inputs' JSON Schemas."""
        return self._own_or_built_in("schemas")

    @property
    def linter_rules(self) -> Path:
        """Regal's configuration."""
        return self._own_or_built_in(".regal/config.yaml")

    def _own_or_built_in(self, name: str) -> Path:
        own = self.root / name
        return own if own.exists() else self.built_in / name

    def own_code(self, code: str) -> str:
        """Return a code as the folder's own rules name it."""
        return code

    @property
    def reasons_file(self) -> Path:
        """Where the texts of reasons are."""
        return self.root / "data" / "reasons" / "data.json"

    def rego_files(self, *, tests: bool = False) -> list[Path]:
        """Return the rules, or the tests of them."""
        return [path for path in sorted(self.root.rglob("*.rego")) if path.name.endswith("_test.rego") == tests]

    def rules_of(self, package: str) -> list[Path]:
        """Return the files of a decision's package, then those of the packages that it imports, nearest first."""
        found: list[Path] = []
        folders = [self.root / "ztfm" / package]
        for folder in folders:
            files = [path for path in sorted(folder.glob("*.rego")) if not path.name.endswith("_test.rego")]
            found += files
            for name in (name for path in files for name in _IMPORT.findall(path.read_text())):
                imported = self.root / Path(*name.split("."))
                folders += [imported] if imported not in folders else []
        return found

    def decisions(self) -> list[str]:
        """Return the packages that decide, below ``ztfm``: the product's, then those for types of one's own."""
        product = [name for name in FACTS if (self.root / "ztfm" / name).is_dir()]
        extra = sorted((self.root / "ztfm" / EXTRA).glob("*/"))
        return product + [f"{EXTRA}/{path.name}" for path in extra if any(path.glob("*.rego"))]

    def example_files(self, package: str) -> list[Path]:
        """Return the example files of a decision, in order of name."""
        return sorted((self.root / "ztfm" / package / "examples").glob("*.json"))

    def examples(self) -> list[Example]:
        """Return all examples that can be read, in order of package and name."""
        files = [(package, path) for package in self.decisions() for path in self.example_files(package)]
        return [example for package, path in files if isinstance(example := read_example(package, path), Example)]

    def data_folders(self) -> list[Path]:
        """Return the folders of data, each with a ``data.json``."""
        return sorted(path.parent for path in (self.root / "data").glob("*/data.json"))

    def reasons(self) -> dict[str, dict[str, str]]:
        """Return message and remedy by code; none of them where they cannot be read."""
        found = read_json(self.reasons_file)
        return found if isinstance(found, dict) else {}


def read_json(path: Path) -> Any:
    """Return what a file holds; none when it cannot be read or is no JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def read_example(package: str, path: Path) -> Example | str:
    """Return an example, or what is wrong with the file."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    shape = {"title": str, "input": dict, "decision": bool, "reasons": list}
    if not isinstance(document, dict) or set(document) != set(shape):
        return "it is not of the form {title, input, decision, reasons}"
    wrong = [name for name, kind in shape.items() if not isinstance(document[name], kind)]
    if wrong or not all(isinstance(code, str) for code in document["reasons"]):
        return f"{', '.join(wrong) or 'reasons'} is of the wrong type"
    return Example(package, path, **document)
