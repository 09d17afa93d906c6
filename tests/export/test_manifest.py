from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge.errors import BundleError, ExportError
from edge.vision.manifest import MANIFEST, Golden, Manifest, Parts, Variant, load_manifest, load_parts
from export import starter_spec
from export.manifest import bundle_folder, check_out, digest, write_manifest


def _filled(folder: Path) -> Manifest:
    """Files of a bundle (of nonsense), and the manifest that belongs to them."""
    for name in ("detector.onnx", "visual.onnx", "text.onnx", "tokenizer.json", "golden.npz"):
        (folder / name).write_bytes(name.encode())
    detector, visual, text = (
        section.model_copy(update={"sha256": digest(folder / section.file)})
        for section in (starter_spec.detector(), starter_spec.visual(), starter_spec.text())
    )
    return Manifest(
        name="starter",
        version="1",
        license="CC0-1.0",
        sources=(),
        detector=detector,
        visual=visual,
        text=text.model_copy(update={"tokenizer_sha256": digest(folder / "tokenizer.json")}),
        golden=Golden(sha256=digest(folder / "golden.npz"), min_cosine=dict(starter_spec.MIN_COSINE)),
    )


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing is lost between the writer and the device's reader."""
    manifest = _filled(tmp_path)
    write_manifest(tmp_path, manifest)
    assert load_manifest(tmp_path) == manifest


def test_parts_of_a_bundle_are_written_too(tmp_path: Path) -> None:
    """A detector alone, with a file for another machine, is read as it was written."""
    manifest = _filled(tmp_path)
    (tmp_path / "detector.arm.onnx").write_bytes(b"arm")
    arm = Variant(
        file="detector.arm.onnx",
        sha256=digest(tmp_path / "detector.arm.onnx"),
        opset=20,
        precision="int8",
        target="arm",
    )
    detector = manifest.detector.model_copy(update={"variants": (arm,)})
    parts = Parts.model_validate(
        {**manifest.model_dump(exclude={"visual", "text"}), "detector": detector.model_dump()}
    )
    write_manifest(tmp_path, parts)
    assert load_parts(tmp_path) == parts


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    """What the system refuses becomes one error with the file's name; the half-made folder goes."""
    out = tmp_path / "starter"
    with pytest.raises(ExportError, match="nothing was kept") as caught, bundle_folder(out):
        raise OSError(number, "no", "visual.onnx")
    assert caught.value.subject == "visual.onnx"
    assert ("disk is full" in caught.value.what) == (number == errno.ENOSPC)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_the_one_that_is_written_to(tmp_path: Path) -> None:
    """Of a copy that fails for want of space the target is named, not what was copied."""
    with pytest.raises(ExportError) as caught, bundle_folder(tmp_path / "starter"):
        raise OSError(errno.ENOSPC, "no", "source.onnx", None, "target.onnx")
    assert caught.value.subject == "target.onnx"


def test_a_place_that_cant_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    """--out below a file is refused at once."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="can't write here"):
        check_out(tmp_path / "file" / "starter")


def test_what_toml_would_lose_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is read back: a number that was rounded away on paper doesn't reach a device."""
    manifest = _filled(tmp_path)
    whole = tomli_w.dumps

    def lossy(content: dict[str, Any], **options: Any) -> str:
        return whole({**content, "visual": {**content["visual"], "logit_scale": 7.0}}, **options)

    monkeypatch.setattr(tomli_w, "dumps", lossy)
    with pytest.raises(ExportError, match="manifest changes when it is written"):
        write_manifest(tmp_path, manifest)


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


def test_a_bundle_is_replaced_by_whatever_name_it_is_called(tmp_path: Path) -> None:
    """A path that leads through the bundle itself, or a link to it: the new one is in, the link stays."""
    disk = tmp_path / "disk"
    (disk / "starter").mkdir(parents=True)
    write_manifest(disk / "starter", _filled(disk / "starter"))
    link = tmp_path / "link"
    link.symlink_to(disk / "starter")
    for round_, out in enumerate((disk / "starter" / ".." / "starter", link)):
        with bundle_folder(out) as folder:
            write_manifest(folder, _filled(folder))
            (folder / "round").write_text(str(round_), "utf-8")
        assert (disk / "starter" / "round").read_text("utf-8") == str(round_)
    assert link.is_symlink()
    assert [path.name for path in disk.iterdir()] == ["starter"]


def test_ctrl_c_while_folders_change_places_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment when the old bundle goes and the one when the new one comes."""
    out = tmp_path / "starter"
    with bundle_folder(out) as folder:
        write_manifest(folder, _filled(folder))

    with pytest.raises(KeyboardInterrupt), bundle_folder(out) as folder:
        write_manifest(folder, _filled(folder))
        (folder / "new").write_bytes(b"")
        original = Path.rename

        def once(path: Path, target: Path) -> Path:
            if path == folder:
                raise KeyboardInterrupt
            return original(path, target)

        monkeypatch.setattr(Path, "rename", once)
    assert (out / MANIFEST).is_file()
    assert not (out / "new").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["starter"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    """--out on a folder with other files in it is refused before any work."""
    (tmp_path / "precious").write_bytes(b"")
    with pytest.raises(ExportError, match="isn't replaced"), bundle_folder(tmp_path):
        pytest.fail("must not get here")
    assert (tmp_path / "precious").exists()
