from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import BundleError, ExportError
from edge.vision.manifest import MANIFEST, Manifest, load_manifest
from export import starter_spec
from export.manifest import bundle_folder, digest, write_manifest


def _filled(folder: Path) -> Manifest:
    """Files of a bundle (of nonsense), and the manifest that belongs to them."""
    for name in ("detector.onnx", "visual.onnx", "text.onnx", "tokenizer.json", "golden.npz"):
        (folder / name).write_bytes(name.encode())
    stored = [
        starter_spec.Stored(digest(folder / f"{p}.onnx"), "fp32") for p in ("detector", "visual", "text")
    ]
    parts = (
        starter_spec.detector(stored[0]),
        starter_spec.visual(stored[1]),
        starter_spec.text(stored[2], digest(folder / "tokenizer.json")),
    )
    return starter_spec.manifest(parts, digest(folder / "golden.npz"))


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing is lost between the writer and the device's reader."""
    manifest = _filled(tmp_path)
    write_manifest(tmp_path, manifest)
    assert load_manifest(tmp_path) == manifest


def test_a_file_that_changed_in_between_is_noticed(tmp_path: Path) -> None:
    """The writer checks the files against the hashes that it writes."""
    manifest = _filled(tmp_path)
    (tmp_path / "visual.onnx").write_bytes(b"changed")
    with pytest.raises(BundleError, match="differs"):
        write_manifest(tmp_path, manifest)


def test_a_finished_bundle_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """After success there is the new bundle, whole, and nothing beside it."""
    out = tmp_path / "starter"
    for round_ in ("first", "second"):
        with bundle_folder(out) as folder:
            write_manifest(folder, _filled(folder))
            (folder / "round").write_text(round_, "utf-8")
    assert (out / "round").read_text("utf-8") == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["starter"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ExportError])
def test_whatever_stops_a_build_leaves_the_old_bundle(tmp_path: Path, stop: type[BaseException]) -> None:
    """Ctrl-C and errors leave what was there, and no half-made folder."""
    out = tmp_path / "starter"
    with bundle_folder(out) as folder:
        write_manifest(folder, _filled(folder))
    before = (out / MANIFEST).read_bytes()
    with pytest.raises(stop), bundle_folder(out) as folder:
        (folder / "half").write_bytes(b"")
        raise stop("stopped")
    assert (out / MANIFEST).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["starter"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    """--out on a folder with other files in it is refused before any work."""
    (tmp_path / "precious").write_bytes(b"")
    with pytest.raises(ExportError, match="isn't replaced"), bundle_folder(tmp_path):
        pytest.fail("must not get here")
    assert (tmp_path / "precious").exists()
