"""Inputs that once brought something to light, by what they did."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge.configuration import load
from edge.delivery.commands import Commands
from edge.delivery.connection import Incoming
from edge.delivery.messages import BundleRef
from edge.errors import BundleError, ConfigError, NotAnImageError, StoreError, UsageError
from edge.intake.whole import MOST_SCANS, MOST_SEGMENTS, check
from edge.interchange import Reading, Reject, reading_from
from edge.service.cards.card import deployment_of, survey
from edge.service.commands import Office
from edge.settings import Settings
from edge.store.database import Database, open_database
from edge.store.outbox import Outbox
from edge.vision.labels import load_label_set
from edge.vision.manifest import MANIFEST, load_manifest
from edge.vision.npz import LARGEST, read_npz
from edge.vision.text import TextTower
from tests.intake.build import segment
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen
from tests.vision import toy

BASE = "edge/v1/d"
NEST = "[" * 50_000
DIGITS = "9" * 5_000


def _asked(database: Database, name: str, **values: object) -> dict[str, object]:
    """What a device answers to a request."""
    office = Office(database, Settings(device="d"), BundleRef(name="starter", sha256="b" * 64), "africa")
    commands = Commands(Outbox(database), office.handlers(), BASE)
    payload = json.dumps({key.rstrip("_"): value for key, value in values.items()}).encode()
    answer = commands.receive(name, Incoming("t", payload, False, "answer", b"1"), 0.0)
    assert answer is not None
    assert hasattr(answer, "payload"), "it would have been carried out"
    found: dict[str, object] = json.loads(answer.payload)
    return found


@pytest.mark.parametrize("first", [2**62 - 3, 2**63, 2**70, 10**400])
def test_replay_of_numbers_that_no_database_has(tmp_path: Path, first: int) -> None:
    """They went down to SQLite, whose refusal ended the publisher's thread."""
    database = open_database(tmp_path)
    said = _asked(database, "replay", epoch=database.epoch, from_=first, to=first + 5)
    assert (said["ok"], said["what"]) == (False, "there is no such number")


def test_page_that_begins_beyond_any_number(tmp_path: Path) -> None:
    """An offset of more than 64 bits ended the publisher's thread; now the page is empty, and the last."""
    desk = Corrigible.at(tmp_path)
    desk.record(seen(examined("a", 0)), close=True)
    ((identity,),) = desk.database.execute("SELECT id FROM registrations")
    said = _asked(desk.database, "registration", registration_id=identity, offset=2**70)
    assert (said["ok"], said["media"], said["next"]) == (True, [], None)


def test_number_that_is_too_large_for_sqlite_is_an_error_of_the_store(tmp_path: Path) -> None:
    """Python raises OverflowError for it, which nobody above the store knows what to do with."""
    with pytest.raises(StoreError, match="too large"):
        open_database(tmp_path).execute("SELECT ?", (2**63,))


@pytest.mark.parametrize("topic", ["cursor", "status", "registration/cam", "command/ping", "replying"])
def test_answer_never_goes_to_a_topic_of_the_device_s_own(tmp_path: Path, topic: str) -> None:
    """Who may only ask could have let the device speak for itself, with the device's rights."""
    commands = Commands(Outbox(open_database(tmp_path)), {}, BASE)
    asked = Incoming("t", b"", False, f"{BASE}/{topic}", b"1")
    assert commands.receive("config", asked, 0.0) is None
    allowed = Incoming("t", b"", False, f"{BASE}/reply/me", b"2")
    assert commands.receive("config", allowed, 1.0) is not None


def scans(count: int) -> bytes:
    """A progressive image of 8 x 8 pixels that is drawn in so many turns."""
    frame = segment(0xC2, bytes([8, 0, 8, 0, 8, 1, 1, 0x11, 0]))
    turn = segment(0xDA, bytes([1, 1, 0, 1, 1, 0xD])) + b"\0"
    return b"\xff\xd8" + frame + turn * count + b"\xff\xd9"


def test_image_drawn_in_thousands_of_turns() -> None:
    """140 KB with 2,646 scans kept the decoder busy for 44 s at 120 million pixels, without one warning."""
    assert check(scans(MOST_SCANS), 64)
    with pytest.raises(NotAnImageError, match="too many turns"):
        check(scans(MOST_SCANS + 1), 64)


@pytest.mark.parametrize("unit", [b"\xff\x01", b"\xff\xd8", b"\xff\xe0\0\x02", b"\xff\xe1\0\x01"])
def test_file_that_is_nothing_but_markers(unit: bytes) -> None:
    """64 MB of markers took 22 s to step through."""
    data = b"\xff\xd8" + unit * (MOST_SEGMENTS + 1) + b"\xff\xd9"
    with pytest.raises(NotAnImageError, match=r"too many parts|impossible length"):
        check(data, 10**8)


@pytest.mark.parametrize("value", [NEST, DIGITS, '"\\ud800"'], ids=["nest", "digits", "half a character"])
def test_settings_label_sets_and_manifests_of_toml_gone_wild(tmp_path: Path, value: str) -> None:
    """Nests and numbers of thousands of digits came out as RecursionError and ValueError."""
    path = tmp_path / "x.toml"
    path.write_text(f"device = {value}")
    with pytest.raises(ConfigError, match="not TOML"):
        load(path)
    with pytest.raises(ConfigError, match="can't be understood"):
        load_label_set(path)
    path.rename(tmp_path / MANIFEST)
    with pytest.raises(BundleError, match="can't be understood"):
        load_manifest(tmp_path)


def test_manifest_that_can_t_be_read(tmp_path: Path) -> None:
    """A folder of that name came out as IsADirectoryError."""
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(BundleError, match="can't be read"):
        load_manifest(tmp_path)


def test_label_set_of_nested_json(tmp_path: Path) -> None:
    """It came out as RecursionError."""
    path = tmp_path / "x.json"
    path.write_text(NEST)
    with pytest.raises(ConfigError, match="can't be understood"):
        load_label_set(path)


def test_environment_with_a_nest(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came out as RecursionError."""
    monkeypatch.setenv("EDGE_MQTT", NEST)
    with pytest.raises(ConfigError, match="environment"):
        load(None)


def test_time_zone_longer_than_a_file_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones are files: a name of 300 characters came out as OSError."""
    monkeypatch.setenv("EDGE_INTAKE__TIMEZONE", "x" * 300)
    with pytest.raises(ConfigError, match="no time zone"):
        load(None)


def _bomb() -> bytes:
    """An archive that claims to unpack to more than is read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", b"x")
    raw = out.getvalue()
    at = raw.index(b"PK\x01\x02") + 24  # the unpacked size in the central directory
    return raw[:at] + (LARGEST + 1).to_bytes(4, "little") + raw[at + 4 :]


def _pickled() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.array([print], object))
    return out.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"PK\x05\x06", _bomb(), _pickled()], ids=["empty", "end", "bomb", "objects"]
)
def test_arrays_that_aren_t_arrays(tmp_path: Path, data: bytes) -> None:
    """An empty file came out as EOFError; objects are never unpickled; a ZIP bomb isn't unpacked."""
    path = tmp_path / "golden.npz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"."):
        read_npz(path)


@pytest.mark.parametrize(
    "text",
    ["[]", '{"model": {"type": "WordLevel", "vocab": {"red": 0}, "unk_token": "[UNK]"}}'],
    ids=["another thing", "without its own unknown"],
)
def test_tokenizer_that_isn_t_one(tmp_path: Path, text: str) -> None:
    """The library raises bare Exceptions, at opening or at the first word that it doesn't know."""
    bundle = toy.save_bundle(tmp_path)
    (bundle / "tokenizer.json").write_text(text)
    toy.save_manifest(bundle)
    with pytest.raises(BundleError, match="tokenizer can't be used"):
        TextTower(bundle, load_manifest(bundle)).embed(["blue"])


def test_camtrap_dp_table_with_a_short_row(tmp_path: Path) -> None:
    """A row without its last cells came out as KeyError."""
    resources = [{"name": name, "path": f"{name}.csv"} for name in ("media", "observations")]
    (tmp_path / "datapackage.json").write_text(json.dumps({"resources": resources}))
    (tmp_path / "media.csv").write_text("mediaID,deploymentID,timestamp\nm1,cam,2026-05-04T18:00:00Z\n")
    table = "observationID,observationType,mediaID,observationLevel\no1\no2,animal,m1,media\n"
    (tmp_path / "observations.csv").write_text(table)
    with reading_from(str(tmp_path), Reading()) as found:
        rows = list(found.rows)
    assert len(rows) == 1
    assert not isinstance(rows[0], Reject)


def test_card_with_folders_in_folders_by_the_thousand(tmp_path: Path) -> None:
    """They were walked by recursion, and came out as RecursionError."""
    home = Path.cwd()
    os.chdir(tmp_path)
    for _ in range(1_500):
        Path("a").mkdir()
        os.chdir("a")
    Path("IMG_0001.JPG").write_bytes(b"x")
    os.chdir(home)
    try:
        found = survey(tmp_path)
        assert [Path(image.name).name for image in found.images] == ["IMG_0001.JPG"]
    finally:
        subprocess.run(["rm", "-r", str(tmp_path / "a")], check=True)  # as pytest would, by recursion


@pytest.mark.parametrize(
    "text", [f"deployment = {NEST}", f"deployment = {DIGITS}", "#" * 70_000], ids=["nest", "digits", "long"]
)
def test_card_that_says_more_than_whose_it_is(tmp_path: Path, text: str) -> None:
    """A nest came out as RecursionError; a file as large as the card would have been read whole."""
    (tmp_path / "edge-card.toml").write_text(text)
    with pytest.raises(UsageError, match=r"can't be read|names no deployment"):
        deployment_of(tmp_path, None)


@pytest.mark.parametrize("header", [b"{'descr': '<f4', 'shape': (", b"{'descr': '\0', 'x': 9" + b"9" * 60])
def test_arrays_whose_header_ends_in_the_middle(tmp_path: Path, header: bytes) -> None:
    """NumPy's reader of old headers let out the TokenError of Python's own tokenizer."""
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = tmp_path / "golden.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", array)
    with pytest.raises(ValueError, match=r"."):
        read_npz(path)
