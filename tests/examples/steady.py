"""Lay examples/policies-steady over the product's policies, as its page says."""

import re
import shutil
from pathlib import Path

from controlplane.authoring import PolicyFolder

ROOT = Path(__file__).resolve().parents[2]
STEADY = ROOT / "examples" / "policies-steady"
_ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| above (both )?`([^`]+)`", re.MULTILINE)


def laid_over(folder: Path, leave_out: str = "") -> PolicyFolder:
    """Make a copy of the product's policies with the example over it, and the edits of its page but one."""
    shutil.copytree(ROOT / "policies", folder)
    shutil.copytree(STEADY, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("README.md"))
    edits = _ROW.findall((STEADY / "README.md").read_text())
    assert len(edits) == 4
    for name, line, both, above in edits:
        path = folder / name
        text = path.read_text()
        assert text.count(above) == (2 if both else 1), name
        if name != leave_out:
            path.write_text(re.sub(rf"^(\s*){re.escape(above)}", rf"\1{line}\n\g<0>", text, flags=re.MULTILINE))
    return PolicyFolder.open(folder, ROOT / "policies")
