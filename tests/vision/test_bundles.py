from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from edge.errors import BundleError
from edge.vision import bundles
from edge.vision.bundles import find_bundle, list_bundles, verify_bundle
from edge.vision.manifest import MANIFEST, bundle_sha256
from tests.vision import toy

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bundles but the test's own."""
    monkeypatch.setattr(bundles, "bundle_folders", tuple)


def test_finds_by_name(bundle: Path) -> None:
    """A name is looked up in the folders given."""
    assert find_bundle("toy", [bundle.parent]) == bundle


def test_finds_by_path(bundle: Path) -> None:
    """A folder is taken as it is."""
    assert find_bundle(bundle) == bundle
    assert find_bundle(str(bundle)) == bundle


def test_earlier_folder_wins(bundle: Path, tmp_path: Path) -> None:
    """A bundle in the state folder stands in for the one that came with the product."""
    own = toy.save_bundle(tmp_path / "own" / "toy")
    assert find_bundle("toy", [own.parent, bundle.parent]) == own
    assert [entry.path for entry in list_bundles([own.parent, bundle.parent])] == [own]


def test_unknown_name_lists_those_that_are_there(bundle: Path) -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(BundleError, match="installed: toy"):
        find_bundle("tiger", [bundle.parent])


def test_folder_without_manifest_is_an_error(tmp_path: Path) -> None:
    """A folder that holds no bundle is named."""
    with pytest.raises(BundleError, match="no model bundle here"):
        find_bundle(tmp_path)


def test_list_tells_what_each_is(bundle: Path) -> None:
    """An entry carries manifest, identity and size."""
    (entry,) = list_bundles([bundle.parent])
    assert (entry.name, entry.problem, entry.sha256) == ("toy", "", bundle_sha256(bundle))
    assert entry.manifest is not None
    assert entry.bytes == sum((bundle / name).stat().st_size for name in entry.manifest.files())


def test_broken_bundles_are_listed_with_their_problem(bundle: Path, tmp_path: Path) -> None:
    """A bundle that can't be used doesn't hide the others, and says why."""
    (bundle / "visual.onnx").unlink()
    bad = tmp_path / "bundles" / "bad"
    bad.mkdir()
    (bad / MANIFEST).write_text("format = 2")
    first, second = list_bundles([bundle.parent])
    assert (first.name, first.manifest) == ("bad", None)
    assert "manifest" in first.problem
    assert second.problem == "missing: visual.onnx"


def test_parts_of_a_bundle_are_listed_as_such(bundle: Path) -> None:
    """A detector alone is no broken bundle: it is whole, and what is missing to a bundle is said."""
    manifest = tomllib.loads((bundle / MANIFEST).read_text())
    del manifest["visual"], manifest["text"]
    (bundle / MANIFEST).write_text(tomli_w.dumps(manifest))
    (entry,) = list_bundles([bundle.parent])
    assert (entry.problem, entry.missing) == ("", ("visual", "text"))
    assert entry.manifest is not None
    assert set(entry.manifest.files()) == {"detector.onnx", "golden.npz"}


def test_verify_passes_a_whole_bundle(bundle: Path) -> None:
    """Files that are what the manifest says pass."""
    assert verify_bundle(bundle).name == "toy"


@pytest.mark.parametrize(
    "name", ["detector.onnx", "visual.onnx", "text.onnx", "tokenizer.json", "golden.npz"]
)
def test_verify_finds_a_flipped_byte(bundle: Path, name: str) -> None:
    """Every file is compared, and the one that differs is named."""
    data = bytearray((bundle / name).read_bytes())
    data[-1] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match="differs") as caught:
        verify_bundle(bundle)
    assert caught.value.subject.endswith(name)


def test_verify_finds_a_missing_file(bundle: Path) -> None:
    """A file that isn't there is named."""
    (bundle / "text.onnx").unlink()
    with pytest.raises(BundleError, match="can't be read") as caught:
        verify_bundle(bundle)
    assert caught.value.subject.endswith("text.onnx")
