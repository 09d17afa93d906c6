"""A folder becomes a collection, and follows what happens to its files."""

from __future__ import annotations

import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError, UsageError
from edge.service.collecting import index as indexing
from edge.service.collecting.home import LOCK, folder_of
from edge.service.collecting.summary import Progress
from edge.store.database import DATABASE, open_database
from edge.store.files import StateLock
from edge.testing import jpeg_bytes, torn
from tests.service.collecting.shelf import BLUE, GREEN, NAME, RED, Shelf, picture
from tests.vision import toy


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty one."""
    return Shelf.at(tmp_path)


def test_pictures_of_every_kind_come_in(shelf: Shelf) -> None:
    """Each picture is embedded whole and by its animals, under the path that it has in the folder."""
    for number, kind in enumerate(("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")):
        shelf.put(f"kinds/deep/{number}.{kind.lower()}", picture(number, kind=kind))
    shelf.put("no-extension", picture(7))
    shelf.put("upper.JPG", picture(8, BLUE))
    summary = shelf.run()
    assert summary.outcomes == {"new": 8}
    assert (summary.sizes.images, summary.sizes.files) == (8, 8)
    assert summary.kind == "exact"
    with shelf.open() as collection:
        assert collection.database.execute(
            "SELECT kind, COUNT(*) FROM embeddings GROUP BY kind ORDER BY kind"
        ) == [("crop", 7), ("image", 8)]
        assert collection.database.execute("SELECT DISTINCT deployment FROM media ORDER BY 1") == [
            ("camera",),
            ("kinds",),
        ]
        assert collection.database.execute("SELECT COUNT(*) FROM registrations") == [(0,)]
        assert collection.database.execute("SELECT COUNT(*) FROM outbox") == [(0,)]
        assert collection.path_of("kinds/deep/1.png").is_file()


def test_animals_are_on_record_without_registrations(shelf: Shelf) -> None:
    """What was seen in a picture is kept: animals with their label, people, and that there is nothing."""
    for name, colour in (("red", RED), ("person", GREEN), ("nothing", (0, 0, 0))):
        shelf.put(f"{name}.png", picture(1, colour, "PNG"))
    shelf.run()
    with shelf.open() as collection:
        kinds = collection.database.execute(
            "SELECT m.file, o.kind, o.count FROM observations o JOIN media m USING (media_id) ORDER BY m.file"
        )
    assert kinds == [("nothing.png", "blank", 0), ("person.png", "person", 1), ("red.png", "animal", 1)]


def test_time_comes_from_exif_the_name_or_the_file(shelf: Shelf) -> None:
    """As in the drop folder, each picture says where its time is from."""
    shelf.put("a.jpg", jpeg_bytes(64, 64, taken=datetime(2024, 6, 1, 12, tzinfo=UTC), model="HyperFire"))
    shelf.put("IMG_20240602_130000.png", picture(1, kind="PNG"))
    os.utime(shelf.put("b.jpg", picture(2)), (1_717_400_000, 1_717_400_000))
    shelf.run()
    with shelf.open() as collection:
        rows = collection.database.execute("SELECT file, taken, time_source, camera FROM media ORDER BY file")
    noon = 1_717_243_200_000
    assert rows == [
        ("IMG_20240602_130000.png", noon + 90_000_000, "filename", ""),
        ("a.jpg", noon, "exif", "HyperFire"),
        ("b.jpg", 1_717_400_000_000, "mtime", ""),
    ]


def test_what_is_on_record_is_not_read_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run opens neither files nor models."""
    for number in range(5):
        shelf.put(f"{number}.jpg", picture(number))
    shelf.run()

    def never(*_: object, **__: object) -> None:
        pytest.fail("it was read again")

    monkeypatch.setattr("edge.service.collecting.gather.read", never)
    monkeypatch.setattr("edge.service.models.Vision.open", never)
    summary = shelf.run()
    assert (summary.pictures, summary.unchanged, summary.looked) == (5, 5, 0)


def test_a_changed_file_is_looked_at_again(shelf: Shelf) -> None:
    """The old content goes with its vectors, and the new one takes its place."""
    shelf.put("a.jpg", picture(1))
    shelf.put("b.jpg", picture(2))
    shelf.run()
    before = shelf.tables()
    shelf.put("a.jpg", picture(3) + b"\0" * 64)
    summary = shelf.run()
    after = shelf.tables()
    assert (summary.outcomes, summary.unchanged, summary.sizes.images) == ({"new": 1}, 1, 2)
    assert len(set(before["media"]) & set(after["media"])) == 1
    assert len(after["embeddings"]) == 4


def test_a_touched_file_keeps_its_place(shelf: Shelf) -> None:
    """A file with another mtime and the same bytes is itself, and no copy."""
    path = shelf.put("a.jpg", picture(1))
    shelf.run()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert shelf.run().outcomes == {"duplicate": 1}
    assert shelf.images() == {"a.jpg": ("a.jpg",)}
    assert shelf.tables()["files"][0][3] == "processed"
    assert shelf.run().unchanged == 1


def test_copies_count_once_and_all_their_paths_are_known(shelf: Shelf) -> None:
    """Three files with the same bytes are one picture, named by the first of them."""
    for file in ("x/b.jpg", "a.jpg", "x/c.jpg"):
        shelf.put(file, picture(1))
    summary = shelf.run()
    assert (summary.outcomes, summary.sizes.images, summary.sizes.files) == ({"new": 1, "duplicate": 2}, 1, 3)
    assert shelf.images() == {"a.jpg": ("a.jpg", "x/b.jpg", "x/c.jpg")}


def test_a_copy_takes_over_when_the_first_is_changed(shelf: Shelf) -> None:
    """The picture stays, under the path that still has it and that path's camera."""
    shelf.put("a/1.jpg", picture(1))
    shelf.put("b/1.jpg", picture(1))
    shelf.run()
    shelf.put("a/1.jpg", picture(2) + b"\0" * 32)
    shelf.run()
    assert shelf.images() == {"a/1.jpg": ("a/1.jpg",), "b/1.jpg": ("b/1.jpg",)}
    with shelf.open() as collection:
        assert collection.database.execute("SELECT deployment FROM media WHERE file = 'b/1.jpg'") == [("b",)]
        assert {row[3] for row in shelf.tables()["files"]} == {"processed"}


def test_a_moved_file_is_followed(shelf: Shelf) -> None:
    """Renamed, a picture is the same under its new name; nothing is missing and no model looks again."""
    path = shelf.put("a/1.jpg", picture(1))
    shelf.run()
    (shelf.root / "b").mkdir()
    path.rename(shelf.root / "b/2.jpg")
    summary = shelf.run()
    assert (summary.outcomes, summary.missing, summary.moved) == ({"duplicate": 1}, [], 1)
    assert shelf.images() == {"b/2.jpg": ("b/2.jpg",)}


def test_vanished_files_are_told_of_and_removed_on_request(shelf: Shelf) -> None:
    """A picture whose file is gone stays until --prune; a gone copy leaves without a word."""
    for file, number in (("a.jpg", 1), ("gone/b.jpg", 2), ("gone/c.jpg", 3), ("gone/copy.jpg", 1)):
        shelf.put(file, picture(number))
    shelf.run()
    shutil.rmtree(shelf.root / "gone")
    summary = shelf.run()
    assert (summary.missing, summary.moved, summary.removed) == (["gone/b.jpg", "gone/c.jpg"], 1, 0)
    assert set(shelf.images()) == {"a.jpg", "gone/b.jpg", "gone/c.jpg"}
    summary = shelf.run(prune=True)
    assert (summary.missing, summary.removed, summary.sizes.vectors) == ([], 2, 2)
    assert shelf.images() == {"a.jpg": ("a.jpg",)}


def test_an_empty_folder_is_not_pruned(shelf: Shelf) -> None:
    """A share that isn't mounted looks like a folder whose files were all removed: nothing is."""
    path = shelf.put("a.jpg", picture(1))
    shelf.run()
    path.unlink()
    with pytest.raises(UsageError, match="nothing is removed"):
        shelf.run(prune=True)
    assert set(shelf.images()) == {"a.jpg"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_are_closed_are_told_of_and_hold_what_they_held(shelf: Shelf) -> None:
    """What can't be listed isn't taken for gone, and what can't be opened is no failure."""
    shelf.put("closed/in/a.jpg", picture(1))
    secret = shelf.put("b.jpg", picture(2))
    shelf.run()
    shelf.put("c.jpg", picture(3)).chmod(0)
    secret.unlink()
    (shelf.root / "closed").chmod(0)
    try:
        summary = shelf.run()
    finally:
        (shelf.root / "closed").chmod(0o755)
    assert list(summary.unreadable) == ["closed"]
    assert summary.outcomes == {"unreadable": 1}
    assert summary.missing == ["b.jpg"]
    assert [refused.file for refused in summary.refused] == ["c.jpg"]
    (shelf.root / "c.jpg").chmod(0o644)
    assert shelf.run().outcomes == {"new": 1}


def test_a_closed_folder_is_not_taken_for_gone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that the system doesn't list is told of, with all that lies in it left on record."""
    shelf.put("closed/in/a.jpg", picture(1))
    shelf.put("b.jpg", picture(2))
    shelf.run()
    from edge.intake import scan  # noqa: PLC0415

    def listed(path: Path, *, hidden: bool = False) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan.list_folder(path, hidden=hidden)

    monkeypatch.setattr("edge.service.collecting.walk.list_folder", listed)
    summary = shelf.run(prune=True)
    assert summary.unreadable == {"closed": "Permission denied"}
    assert (summary.missing, summary.removed) == ([], 0)
    assert set(shelf.images()) == {"b.jpg", "closed/in/a.jpg"}


def test_what_cannot_be_used_is_set_aside_with_its_reason(shelf: Shelf) -> None:
    """Torn, empty, foreign and oversized files don't keep the others out, and aren't read again."""
    shelf.put("good.jpg", picture(1))
    shelf.put("cut.jpg", torn(picture(2)))
    shelf.put("cut.png", torn(picture(3, kind="PNG")))
    shelf.put("empty.jpg", b"")
    shelf.put("paper.jpg", b"%PDF-1.7 and so on")
    shelf.put("notes.txt", b"words")
    shelf.put("film.mp4", b"moving")
    shelf.put("phone.heic", b"\0\0\0\x18ftypheic")
    shelf.put("README", b"words")
    summary = shelf.run()
    assert summary.outcomes == {"new": 1, "set_aside": 4}
    reasons = {refused.file: refused.reason for refused in summary.refused}
    assert "cut: it ends after" in reasons["cut.jpg"]
    assert "PNG is cut off" in reasons["cut.png"]
    assert "empty" in reasons["empty.jpg"]
    assert "a PDF document" in reasons["paper.jpg"]
    assert summary.skipped == {
        "not an image: .txt": 1,
        "videos aren't supported": 1,
        "HEIC isn't supported, JPEG would be": 1,
        "not an image: the name has no extension": 1,
    }
    again = shelf.run()
    assert (again.looked, len(again.refused)) == (0, 4)
    shelf.put("cut.jpg", picture(2))
    assert shelf.run().outcomes == {"new": 1}


def test_a_file_that_becomes_unusable_leaves(shelf: Shelf) -> None:
    """Its old content isn't anywhere any more, so it isn't found any more either."""
    shelf.put("a.jpg", picture(1))
    shelf.put("b.jpg", picture(2))
    shelf.run()
    shelf.put("a.jpg", b"%PDF-1.7")
    assert shelf.run().outcomes == {"set_aside": 1}
    assert set(shelf.images()) == {"b.jpg"}


def test_links_and_hidden_names_are_counted_and_not_followed(shelf: Shelf) -> None:
    """A loop of links ends, and what was passed over is told."""
    shelf.put("a.jpg", picture(1))
    shelf.put(".hidden.jpg", picture(2))
    shelf.put(".thumbs/b.jpg", picture(3))
    (shelf.root / "loop").symlink_to(shelf.root)
    (shelf.root / "link.jpg").symlink_to(shelf.root / "a.jpg")
    os.mkfifo(shelf.root / "pipe.jpg")
    summary = shelf.run()
    assert summary.outcomes == {"new": 1}
    assert summary.skipped == {
        "symbolic link": 2,
        "hidden, or not finished by its name": 1,
        "hidden folder, or the system's": 1,
        "not a regular file": 1,
    }


def test_names_that_are_no_text(shelf: Shelf) -> None:
    """Bytes that aren't UTF-8, spaces, quotes and line breaks are no trouble, also the second time."""
    names = [b"caf\xe9/\xff.jpg", b'it\'s "one"\n.jpg', "Füße/ünï.jpg".encode()]
    for number, name in enumerate(names):
        shelf.put(os.fsdecode(name), picture(number))
    shelf.run()
    assert shelf.run().unchanged == 3
    with shelf.open() as collection:
        for file in shelf.images():
            assert collection.path_of(file).is_file()


def test_folders_a_thousand_deep(shelf: Shelf) -> None:
    """Depth costs no stack; what lies beyond what the system can name is told of."""
    deep = shelf.root
    for _ in range(300):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "a.jpg").write_bytes(picture(1))
    assert shelf.run().outcomes == {"new": 1}


def test_the_state_folder_is_not_indexed(tmp_path: Path) -> None:
    """Everything below a home folder may be indexed although the state folder lies there too."""
    shelf = Shelf.at(tmp_path)
    (shelf.settings.state / "snapshots").mkdir(parents=True)
    (shelf.settings.state / "snapshots/s.jpg").write_bytes(picture(9))
    shelf.put("a.jpg", picture(1))
    summary = shelf.run(root=tmp_path)
    assert set(shelf.images()) == {"pictures/a.jpg"}
    assert summary.skipped["folder of edge itself"] == 1


def test_stopped_and_called_again_the_result_is_the_same(tmp_path: Path) -> None:
    """After an orderly stop the next run goes on behind what is committed; no attempt is held against it."""
    calm, stopped = Shelf.at(tmp_path / "calm"), Shelf.at(tmp_path / "stopped")
    for number in range(60):
        data = picture(number % 50, (RED, GREEN, BLUE)[number % 3], ("JPEG", "PNG")[number % 2])
        for shelf in (calm, stopped):
            path = shelf.put(f"{number % 4}/{number:03}.img.{('jpg', 'png')[number % 2]}", data)
            os.utime(path, (1_750_000_000 + number, 1_750_000_000 + number))
    calm.run()
    stop = threading.Event()

    def told(progress: Progress) -> None:
        if progress.done >= 16 and progress.phase == "looking":
            stop.set()

    first = stopped.run(stop=stop, told=told)
    assert first.stopped
    assert 16 <= first.looked < 60
    with stopped.open() as collection:
        assert collection.database.execute("SELECT COUNT(*) FROM files WHERE attempts > 0") == [(0,)]
    second = stopped.run()
    assert second.unchanged == first.looked
    assert stopped.tables() == {**calm.tables(), "media": stopped.tables()["media"]}
    assert [row[:12] for row in stopped.tables()["media"]] == [row[:12] for row in calm.tables()["media"]]


def test_another_bundle_embeds_everything_anew(tmp_path: Path) -> None:
    """With other models the pictures are looked at again, and only the new vectors remain."""
    shelf = Shelf.at(tmp_path)
    for number in range(4):
        shelf.put(f"{number}.jpg", picture(number))
    shelf.put("copy.jpg", picture(0))
    shelf.run()
    other = toy.save_bundle(tmp_path / "other")
    manifest = other / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('version = "', 'version = "2.', 1))
    vision = shelf.settings.vision.model_copy(update={"bundle": str(other)})
    anew = Shelf(shelf.root, shelf.settings.model_copy(update={"vision": vision}))
    summary = anew.run()
    assert summary.outcomes == {"renewed": 4}
    with anew.open() as collection:
        assert len(collection.database.execute("SELECT DISTINCT bundle FROM embeddings")) == 1
        assert len(collection.database.execute("SELECT DISTINCT bundle FROM media")) == 1
    assert summary.sizes.vectors == 8
    assert anew.run().looked == 0


def test_whole_pictures_only(shelf: Shelf) -> None:
    """Without looking for animals there is one vector for each picture, as with it, and no word on them."""
    for number in range(3):
        shelf.put(f"{number}.jpg", picture(number))
    other = Shelf.at(shelf.root.parent / "second")
    shutil.copytree(shelf.root, other.root, dirs_exist_ok=True)
    shelf.run(whole=True)
    other.run()
    assert shelf.tables()["observations"] == []
    assert shelf.tables()["embeddings"] == [row for row in other.tables()["embeddings"] if row[2] == "image"]
    with pytest.raises(UsageError, match="with --whole"):
        shelf.run()


def test_a_collection_is_of_one_folder(shelf: Shelf, tmp_path: Path) -> None:
    """Another folder is refused, unless it is the same one that has moved; then nothing is read again."""
    shelf.put("a.jpg", picture(1))
    shelf.run()
    elsewhere = tmp_path / "mounted elsewhere"
    shelf.root.rename(elsewhere)
    with pytest.raises(UsageError, match="another folder"):
        shelf.run(root=elsewhere)
    summary = shelf.run(root=elsewhere, moved=True)
    assert (summary.unchanged, summary.missing) == (1, [])
    with shelf.open() as collection:
        assert collection.path_of("a.jpg") == elsewhere / "a.jpg"


def test_two_at_once(shelf: Shelf) -> None:
    """The second is refused while the first has the lock."""
    with StateLock(folder_of(shelf.settings, NAME), LOCK), pytest.raises(StoreBusyError, match="edge index"):
        shelf.run()


def test_a_full_disk_is_told_before_anything_is_begun(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for all of it nothing is looked at; with room again it goes on."""
    shelf.put("a.jpg", picture(1))
    monkeypatch.setattr(indexing, "free_space", lambda _folder: 1000)
    with pytest.raises(DiskFullError, match="free space"):
        shelf.run()
    monkeypatch.undo()
    assert shelf.run().outcomes == {"new": 1}


def test_a_disk_that_fills_up_meanwhile(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed stays, and the next run goes on."""
    for number in range(50):
        shelf.put(f"{number:02}.jpg", picture(number))
    room = iter([10**12, 10**12, 10**12])
    monkeypatch.setattr(indexing, "free_space", lambda _folder: next(room, -1))
    with pytest.raises(DiskFullError):
        shelf.run()
    monkeypatch.undo()
    summary = shelf.run()
    assert (summary.unchanged, summary.outcomes) == (32, {"new": 18})


def test_a_damaged_database_is_told_with_what_to_do(shelf: Shelf) -> None:
    """A collection can be made again at any time, so nothing is patched up."""
    shelf.put("a.jpg", picture(1))
    shelf.run()
    path = folder_of(shelf.settings, NAME) / DATABASE
    path.write_bytes(b"SQLite format 3\0" + b"\xa5" * 8192)
    with pytest.raises(StoreCorruptError, match="edge collections remove toys"):
        shelf.run()


@pytest.mark.parametrize("where", ["nowhere", "a.jpg"])
def test_no_folder(shelf: Shelf, where: str) -> None:
    """A path that is no folder is a wrong call, and leaves no collection behind."""
    shelf.put("a.jpg", picture(1))
    with pytest.raises(UsageError):
        shelf.run(root=shelf.root / where)
    assert not (shelf.settings.state / "collections").exists()


def test_a_file_that_ends_the_process_is_left_alone_in_the_end(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two attempts on record that nobody survived: the third is in a process of its own, which dies too."""
    shelf.put("a.jpg", picture(1))
    deadly = shelf.put("deadly.jpg", picture(2))
    shelf.run()
    os.utime(deadly, (1_700_000_000, 1_700_000_000))
    database = open_database(folder_of(shelf.settings, NAME))
    database.execute(
        "UPDATE files SET state = 'attempted', attempts = 2, media_id = NULL, mtime_ns = ? WHERE name = ?",
        (deadly.stat().st_mtime_ns, "deadly.jpg"),
    )
    database.close()
    asked = []
    monkeypatch.setattr("edge.service.models.survives", lambda _bundle, path, *_, **__: asked.append(path))
    summary = shelf.run()
    assert asked == [deadly]
    assert summary.outcomes == {"quarantined": 1}
    assert shelf.run().looked == 0
