"""What is edited is what was released, and a draft of it goes nowhere else."""

import os
import shutil
from pathlib import Path

import pytest

from controlplane.authoring.errors import DraftMoved
from controlplane.bundles import BundleRefused, BundleSigner
from controlplane.contracts.workbench import MAX_BYTES, MAX_FILES
from controlplane.history.workbench.drafts import Drafts, write
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa
from controlplane.storage import Store
from controlplane.storage.releases import NewRelease

POLICY = "ztfm/one/policy.rego"


async def released(store: Store, signer: BundleSigner, folder: Path) -> str:
    built = build(locate_opa(os.environ), folder, wasm=False)
    body = signer.sign(built.files, "base", built.revision)
    new = NewRelease("base", built.revision, signer.key_id, "published", 1.0, "ada")
    assert await store.releases.add(new, body) is not None
    return built.revision


async def test_the_installations_folder_is_edited_until_somebody_releases_another(
    store: Store, signer: BundleSigner, drafts: Drafts, small: Path, tmp_path: Path
) -> None:
    first = await drafts.edited("base")
    assert (first.origin, first.files[POLICY]) == ("folder", (small / POLICY).read_bytes())
    theirs = tmp_path / "theirs"
    shutil.copytree(small, theirs)
    (theirs / POLICY).write_text("package ztfm.one\n\nenough if input.amount >= 20\n")
    revision = await released(store, signer, theirs)
    found = await drafts.edited("base")
    assert (found.origin, found.revision) == ("release", revision)
    assert found.files[POLICY] == (theirs / POLICY).read_bytes()
    assert "ztfm/one/policy_test.rego" in found.files


async def test_a_release_of_somebody_whom_nobody_trusts_is_not_edited(
    store: Store, drafts: Drafts, small: Path
) -> None:
    await released(store, BundleSigner.generate(), small)
    with pytest.raises(BundleRefused) as refused:
        await drafts.edited("base")
    assert refused.value.reason == "untrusted"


async def test_a_layer_without_policies_is_begun_empty(drafts: Drafts) -> None:
    found = await drafts.edited("site")
    assert (found.origin, found.revision, dict(found.files)) == ("none", "", {})
    assert await drafts.draft("site", {"site/rules.rego": "package site\n"}, None) == {
        "site/rules.rego": b"package site\n"
    }


async def test_a_draft_is_what_is_edited_with_its_changes(drafts: Drafts) -> None:
    edited = await drafts.edited("base")
    changes = {POLICY: "package ztfm.one\n", "ztfm/two/policy.rego": None, "ztfm/new/policy.rego": "package ztfm.new\n"}
    draft = await drafts.draft("base", changes, edited.revision)
    assert draft[POLICY] == b"package ztfm.one\n"
    assert draft.keys() - edited.files.keys() == {"ztfm/new/policy.rego"}
    assert edited.files.keys() - draft.keys() == {"ztfm/two/policy.rego"}
    assert edited.files[POLICY] != draft[POLICY]


async def test_a_draft_of_what_has_changed_is_refused(
    store: Store, signer: BundleSigner, drafts: Drafts, small: Path
) -> None:
    before = (await drafts.edited("base")).revision
    (small / POLICY).write_text("package ztfm.one\n\nenough if input.amount >= 30\n")
    await released(store, signer, small)
    with pytest.raises(DraftMoved, match="by now"):
        await drafts.draft("base", {}, before)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({f"ztfm/many/f{number}.rego": "x" for number in range(MAX_FILES)}, "too_large"),
        ({f"ztfm/many/f{number}.rego": "x" * (MAX_BYTES // 4) for number in range(4)}, "too_large"),
        ({"ztfm/one.rego": "package ztfm\n", "ztfm/one.rego/policy.rego": "package ztfm\n"}, "malformed"),
    ],
    ids=["many", "large", "both a file and a folder"],
)
async def test_a_draft_beyond_its_bounds_is_refused(drafts: Drafts, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(BundleRefused) as refused:
        await drafts.draft("base", dict(changes), None)
    assert refused.value.reason == reason


async def test_what_is_no_text_is_shown_without_one(drafts: Drafts, small: Path) -> None:
    (small / "ztfm/one/data.json").write_bytes(b'{"a": "\xff"}')
    told = {file.path: file.text for file in (await drafts.edited("base")).told().files}
    assert told["ztfm/one/data.json"] is None
    assert told[POLICY] == (small / POLICY).read_text()


async def test_what_a_bundle_leaves_out_is_not_shown(drafts: Drafts, small: Path) -> None:
    for name in (".env", "ztfm/.secret.rego", "key.pem", "ztfm/one/notes.txt"):
        (small / name).write_text("a secret")
    assert all(b"a secret" not in body for body in (await drafts.edited("base")).files.values())


def test_what_is_written_lies_within_its_folder(tmp_path: Path) -> None:
    write({"ztfm/a/policy.rego": b"a", "data.json": b"{}"}, tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"ztfm/a/policy.rego", "data.json"}
