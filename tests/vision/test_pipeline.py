from __future__ import annotations

import gc
import io
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge.errors import BundleError, ImageError
from edge.settings import VisionSettings
from edge.vision import pipeline
from edge.vision.decode import Header, Pixels, decode
from edge.vision.pipeline import MOST_CROPS, Vision
from edge.vision.providers import CPU
from edge.vision.queries import Texts
from edge.vision.session import Chain, Model
from edge.vision.sight import Sight
from tests.vision import toy

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PLENTY = 10**8


@pytest.fixture
def vision(bundle: Path, settings: VisionSettings, tmp_path: Path) -> Vision:
    """The toy bundle with its colours as labels."""
    return Vision.open(bundle, toy.LABELS, settings, tmp_path / "cache")


def _see(vision: Vision, *spots: tuple[int, int, tuple[int, int, int]]) -> Sight:
    return vision.see(toy.jpeg(toy.scene(*spots)), PLENTY)


def test_empty_image(vision: Vision) -> None:
    """An image with nothing in it has no detections, no label, no snapshot, and still its embedding."""
    sight = _see(vision)
    assert (sight.detections, sight.label, sight.confidence, sight.count) == ((), None, 0, 0)
    assert (sight.scores, sight.snapshot) == ((), None)
    assert [(e.kind, e.box) for e in sight.embeddings] == [("image", None)]


def test_one_animal(vision: Vision) -> None:
    """An animal is found where it is, named, and embedded beside the whole image."""
    sight = _see(vision, (24, 24, RED))
    (animal,) = sight.detections
    assert (animal.kind, animal.label, sight.label, sight.count) == ("animal", "Red", "Red", 1)
    left, top, width, height = animal.box
    assert left <= 24 / 64 <= 32 / 64 <= left + width
    assert top <= 24 / 64 <= 32 / 64 <= top + height
    assert animal.score == pytest.approx(1, abs=0.05)
    assert sight.confidence == round(animal.label_score * 1e6)
    assert sight.scores[0][0] == "Red"
    assert [e.kind for e in sight.embeddings] == ["image", "crop"]
    assert sight.embeddings[1].box == animal.box


def test_embeddings_are_half_precision_unit_vectors(vision: Vision) -> None:
    """Vectors come as they are stored."""
    for embedding in _see(vision, (24, 24, RED)).embeddings:
        assert embedding.vector.dtype == np.float16
        assert embedding.vector.shape == (3,)
        assert np.linalg.norm(embedding.vector.astype(float)) == pytest.approx(1, abs=2e-3)


def test_animals_are_counted(vision: Vision) -> None:
    """Two animals apart are two, and a person is none."""
    sight = _see(vision, (4, 4, RED), (48, 48, RED), (48, 4, GREEN))
    assert sight.count == 2
    assert sorted(d.kind for d in sight.detections) == ["animal", "animal", "person"]
    assert [e.kind for e in sight.embeddings] == ["image", "crop", "crop"]


def test_person_and_vehicle_have_no_label(vision: Vision) -> None:
    """Only animals are named; an image with people alone has none."""
    sight = _see(vision, (4, 4, GREEN), (48, 48, BLUE))
    assert sorted(d.kind for d in sight.detections) == ["person", "vehicle"]
    assert all(d.label is None and d.label_score == 0 for d in sight.detections)
    assert (sight.label, sight.count) == (None, 0)
    assert sight.snapshot is not None


def test_detections_come_best_first(vision: Vision) -> None:
    """Scores never rise down the list."""
    sight = _see(vision, (4, 4, (120, 0, 0)), (48, 48, (250, 0, 0)), (4, 48, (0, 180, 0)))
    scores = [d.score for d in sight.detections]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_thresholds_of_the_settings_come_first(bundle: Path, tmp_path: Path) -> None:
    """A threshold that is set overrides the bundle's."""
    strict = VisionSettings(providers=("CPUExecutionProvider",), animal=0.9)
    vision = Vision.open(bundle, toy.LABELS, strict, tmp_path)
    assert _see(vision, (24, 24, (150, 0, 0))).count == 0
    assert _see(vision, (24, 24, RED)).count == 1


def test_floor_leaves_an_animal_without_label(bundle: Path, tmp_path: Path) -> None:
    """Below the floor an animal is counted but not named; its likeliest labels are still told."""
    shy = VisionSettings(providers=("CPUExecutionProvider",), floor=1.0)
    sight = _see(Vision.open(bundle, toy.LABELS, shy, tmp_path), (24, 24, (150, 70, 0)))
    assert (sight.count, sight.label, sight.confidence) == (1, None, 0)
    assert sight.detections[0].label is None
    assert sight.detections[0].label_score > 0.5
    assert sight.scores[0][0] == "Red"


def test_box_is_relative_to_the_upright_image(vision: Vision) -> None:
    """A turned image is seen as a person sees it: sizes, boxes and snapshot are upright."""
    upright = np.zeros((64, 128, 3), np.uint8)
    upright[8:16, 96:112] = RED
    exif = Image.Exif()
    exif[0x0112] = 6
    sight = vision.see(toy.jpeg(np.ascontiguousarray(np.rot90(upright, 1)), exif=exif), PLENTY)
    assert (sight.width, sight.height) == (128, 64)
    box = sight.detections[0].box
    assert box.x < 104 / 128 < box.x + box.width
    assert box.y < 12 / 64 < box.y + box.height
    assert sight.snapshot is not None
    assert Image.open(io.BytesIO(sight.snapshot)).size == (128, 64)


def _factors(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The reductions that images are decoded at from now on."""
    factors: list[int] = []

    def watched(data: bytes, header: Header, factor: int = 1) -> Pixels:
        factors.append(factor)
        return decode(data, header, factor)

    monkeypatch.setattr("edge.vision.pipeline.decode", watched)
    return factors


def test_large_image_is_decoded_small(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more pixels are decoded than the graphs can use."""
    factors = _factors(monkeypatch)
    image = np.zeros((512, 512, 3), np.uint8)
    image[128:256, 128:256] = RED
    assert vision.see(toy.jpeg(image), PLENTY).count >= 1
    assert factors == [8]


def test_small_animal_is_decoded_larger_once(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crop that would be too coarse comes from a second, larger decode; one for the whole image."""
    toy.save_manifest(bundle, visual={"crop_margin": 0.0})
    vision = Vision.open(bundle, toy.LABELS, VisionSettings(providers=("CPUExecutionProvider",)), tmp_path)
    monkeypatch.setattr(pipeline, "SHARP", 2.0)  # boxes are 16 of 64 pixels; ask for twice the input's 16
    factors = _factors(monkeypatch)
    image = np.zeros((512, 512, 3), np.uint8)
    image[64:128, 64:128], image[320:384, 320:384] = RED, RED
    sight = vision.see(toy.jpeg(image), PLENTY)
    assert sight.count == 2
    assert factors == [8, 4]


def test_flock_is_counted_beyond_the_crops(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many animals all are counted, and the best few are named and embedded."""
    assert MOST_CROPS >= 8
    monkeypatch.setattr(pipeline, "MOST_CROPS", 2)
    sight = _see(vision, (4, 4, RED), (48, 4, RED), (4, 48, RED), (48, 48, RED))
    assert sight.count == 4
    assert [e.kind for e in sight.embeddings] == ["image", "crop", "crop"]
    assert [d.label for d in sight.detections].count("Red") == 2
    assert sight.label == "Red"


def test_more_crops_than_one_run_takes(vision: Vision) -> None:
    """Crops beyond one batch are embedded in the next, each with its own vector."""
    spots = [(x, y, RED) for x in (0, 14, 28, 42, 56) for y in (0, 28, 56)]
    sight = _see(vision, *spots)
    assert sight.count > 8
    assert len(sight.embeddings) == sight.count + 1
    assert all(e.vector.argmax() == 0 for e in sight.embeddings)


def test_snapshot_hides_people(vision: Vision, bundle: Path, tmp_path: Path) -> None:
    """People are made unrecognisable unless the settings say otherwise; animals stay sharp."""
    image = toy.scene((8, 8, GREEN), (40, 40, RED))
    image[8:16:2, 8:16] = (0, 120, 0)
    data = toy.jpeg(image)
    hidden = vision.see(data, PLENTY).snapshot
    open_settings = VisionSettings(providers=("CPUExecutionProvider",), blur_people=False)
    shown = Vision.open(bundle, toy.LABELS, open_settings, tmp_path).see(data, PLENTY).snapshot
    assert hidden is not None
    assert shown is not None

    def contrast(snapshot: bytes, part: slice) -> float:
        pixels = np.asarray(Image.open(io.BytesIO(snapshot)))[part, part].astype(int)
        return float(np.abs(np.diff(pixels, axis=0)).max())

    assert contrast(hidden, slice(9, 15)) < 0.6 * contrast(shown, slice(9, 15))
    assert contrast(hidden, slice(38, 50)) == pytest.approx(contrast(shown, slice(38, 50)), rel=0.3)


def test_no_snapshots_when_turned_off(bundle: Path, tmp_path: Path) -> None:
    """The setting turns them off."""
    settings = VisionSettings(providers=("CPUExecutionProvider",), snapshots=False)
    assert _see(Vision.open(bundle, toy.LABELS, settings, tmp_path), (24, 24, RED)).snapshot is None


def test_snapshot_keeps_to_its_bytes(bundle: Path, tmp_path: Path) -> None:
    """However busy the image, the snapshot fits."""
    settings = VisionSettings(providers=("CPUExecutionProvider",), snapshot_bytes=4096)
    vision = Vision.open(bundle, toy.LABELS, settings, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    snapshot = vision.see(toy.jpeg(image), PLENTY).snapshot
    assert snapshot is not None
    assert len(snapshot) <= 4096


def test_damaged_image_raises(vision: Vision) -> None:
    """A cut file is an error, and the next image is seen as if nothing had been."""
    data = toy.jpeg(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    with pytest.raises(ImageError):
        vision.see(data[: len(data) // 2], PLENTY)
    assert _see(vision, (24, 24, RED)).count == 1


def test_too_large_an_image_raises(vision: Vision) -> None:
    """The limit on pixels is kept."""
    with pytest.raises(ImageError, match="larger than allowed"):
        vision.see(toy.jpeg(toy.scene()), 64 * 64 - 1)


def test_several_threads_see_what_one_sees(vision: Vision) -> None:
    """Workers share the sessions and nothing else: results don't depend on who runs beside."""
    random = np.random.default_rng(7)
    colours = [RED, GREEN, BLUE]
    images = [
        toy.jpeg(toy.scene(*[(int(x), int(y), colours[i % 3]) for x, y in random.integers(0, 56, (3, 2))]))
        for i in range(40)
    ]
    alone = [vision.see(image, PLENTY) for image in images]
    with ThreadPoolExecutor(4) as workers:
        together = list(workers.map(lambda image: vision.see(image, PLENTY), images))
    for one, other in zip(alone, together, strict=True):
        assert one.detections == other.detections
        assert one.scores == other.scores
        assert one.snapshot == other.snapshot
        for a, b in zip(one.embeddings, other.embeddings, strict=True):
            np.testing.assert_array_equal(a.vector, b.vector)


def test_results_do_not_change_later(vision: Vision) -> None:
    """What was seen isn't touched by the next image, although buffers are used again."""
    first = _see(vision, (24, 24, RED))
    before = [e.vector.copy() for e in first.embeddings]
    _see(vision, (8, 8, BLUE), (40, 40, RED))
    for embedding, vector in zip(first.embeddings, before, strict=True):
        np.testing.assert_array_equal(embedding.vector, vector)


def test_timings_add_up(vision: Vision) -> None:
    """Every part of the time is told, and none is negative."""
    timings = _see(vision, (24, 24, RED)).timings
    parts = (timings.decode, timings.detect, timings.embed, timings.other)
    assert all(part > 0 for part in parts)
    assert timings.total == pytest.approx(sum(parts))


def test_query_and_image_share_a_space(vision: Vision) -> None:
    """A text finds the image that it describes."""
    red, blue = vision.text("red"), vision.text("blue")
    image = np.full((64, 64, 3), RED, np.uint8)
    vector = vision.embed(toy.jpeg(image), (), PLENTY).embeddings[0].vector.astype(np.float32)
    assert vector.shape == red.shape == (3,)
    assert float(vector @ red) > 0.99
    assert float(vector @ blue) < 0.1


@pytest.mark.parametrize("side", [64, 1024])
def test_known_boxes_are_embedded_as_when_they_were_found(vision: Vision, side: int) -> None:
    """Bit for bit, whatever the number of animals and of decodings; nothing is detected for it."""
    scale = side // toy.SIDE
    for spots in ((), ((24, 24, RED),), ((4, 4, RED), (48, 48, RED), (48, 4, GREEN))):
        small = toy.scene(*spots)
        data = toy.jpeg(np.ascontiguousarray(small.repeat(scale, 0).repeat(scale, 1)))
        sight = vision.see(data, PLENTY)
        boxes = [e.box for e in sight.embeddings if e.box]
        assert len(boxes) == sight.count
        glimpse = vision.embed(data, boxes, PLENTY)
        assert [(e.kind, e.box) for e in glimpse.embeddings] == [(e.kind, e.box) for e in sight.embeddings]
        for now, then in zip(glimpse.embeddings, sight.embeddings, strict=True):
            np.testing.assert_array_equal(now.vector, then.vector)
        assert glimpse.night == sight.night == vision.is_night(data, PLENTY)


def test_night_is_told_of_every_image(vision: Vision) -> None:
    """Grey is night, colour is day, for each way of looking."""
    for colour, night in (((90, 90, 90), True), (None, False)):
        image = np.full((64, 64, 3), colour or 0, np.uint8)
        if colour is None:
            image[::, ::2], image[::, 1::4] = (120, 60, 60), (50, 110, 60)
        data = toy.jpeg(image.repeat(8, 0).repeat(8, 1))
        assert vision.see(data, PLENTY).night is night
        assert vision.embed(data, (), PLENTY).night is night
        assert vision.is_night(data, PLENTY) is night


def test_damaged_image_is_not_embedded(vision: Vision) -> None:
    """As it isn't looked at."""
    data = toy.jpeg(toy.scene((24, 24, RED)))
    for broken in (b"", data[: len(data) // 2]):
        with pytest.raises(ImageError):
            vision.embed(broken, (), PLENTY)
        with pytest.raises(ImageError):
            vision.is_night(broken, PLENTY)


@pytest.mark.parametrize(("large", "most"), [(64 * 64 - 1, 1), (64 * 64, 4)])
def test_large_images_are_looked_at_one_at_a_time(
    vision: Vision, monkeypatch: pytest.MonkeyPatch, large: int, most: int
) -> None:
    """Those above the limit wait for each other, others don't."""
    monkeypatch.setattr(pipeline, "LARGE", large)
    here, met, lock = [0], [0], threading.Lock()
    together = threading.Barrier(most)

    def counted(data: bytes, header: Header, factor: int = 1) -> Pixels:
        with lock:
            here[0] += 1
            met[0] = max(met[0], here[0])
        together.wait(30)
        pixels = decode(data, header, factor)
        with lock:
            here[0] -= 1
        return pixels

    monkeypatch.setattr(pipeline, "decode", counted)
    data = toy.jpeg(toy.scene((24, 24, RED)))
    looks = (
        lambda: vision.see(data, PLENTY),
        lambda: vision.embed(data, (), PLENTY),
        lambda: vision.is_night(data, PLENTY),
        lambda: vision.see(data, PLENTY),
    )
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(look) for look in looks]:
            done.result(60)
    assert met[0] == most


def test_text_model_is_not_held(
    vision: Vision, bundle: Path, settings: VisionSettings, tmp_path: Path
) -> None:
    """The text model is gone once the labels are known, and not needed when they are in the cache."""
    assert vision._texts._tower is None
    (bundle / "text.onnx").unlink()
    again = Vision.open(bundle, toy.LABELS, settings, tmp_path / "cache")
    assert _see(again, (24, 24, RED)).label == "Red"


@pytest.mark.parametrize("file", ["text.onnx", "tokenizer.json"])
def test_damaged_text_model_is_told_at_the_start(
    vision: Vision, bundle: Path, settings: VisionSettings, tmp_path: Path, file: str
) -> None:
    """Labels from the cache need no text model, so that its damage is told, and nothing is opened for it."""
    assert not vision.info().text_damage
    sound = (bundle / file).read_bytes()
    (bundle / file).write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    again = Vision.open(bundle, toy.LABELS, settings, tmp_path / "cache")
    assert "differs from its manifest" in again.info().text_damage
    assert file in again.info().text_damage
    assert again._texts._tower is None
    assert _see(again, (24, 24, RED)).label == "Red"
    with pytest.raises(BundleError, match=file):
        again.text("red")
    (bundle / file).write_bytes(sound)
    again.text("red")
    assert not again.info().text_damage


def test_damaged_text_model_ends_a_start_that_needs_it(
    bundle: Path, settings: VisionSettings, tmp_path: Path
) -> None:
    """Without kept embeddings of the labels nothing could be named."""
    (bundle / "text.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match="file differs from its manifest"):
        Vision.open(bundle, toy.LABELS, settings, tmp_path / "cache")


class _Mortal(Model):
    """The processor's model, which ONNX Runtime refuses to run once it is told to die."""

    dying = False

    def run(self, inputs: Any, outputs: Any) -> list[Any]:
        return super().run({} if self.dying else inputs, outputs)


class _Watched:
    """A runtime that counts how many models are still there whenever another one is opened."""

    def __init__(self) -> None:
        self.opened: list[weakref.ref[_Mortal]] = []
        self.alive: list[int] = []

    def available(self) -> tuple[str, ...]:
        return (CPU,)

    def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
        self.alive.append(sum(model() is not None for model in self.opened))
        model = _Mortal(path, provider, threads, chain)
        self.opened.append(weakref.ref(model))
        return model


def test_sessions_that_failed_are_closed_before_others_are_opened(
    bundle: Path, settings: VisionSettings, tmp_path: Path
) -> None:
    """A real error of ONNX Runtime holds nothing back: there is room for one pair of models only."""
    runtime = _Watched()
    vision = Vision.open(bundle, toy.LABELS, settings, tmp_path / "cache", runtime=runtime)
    for reference in runtime.opened:
        model = reference()
        assert model is not None
        model.dying = True
    del model
    gc.disable()
    try:
        assert _see(vision, (24, 24, RED)).label == "Red"
    finally:
        gc.enable()
    assert runtime.alive == [0, 1, 0, 1]


def test_queries_keep_it_until_released(vision: Vision) -> None:
    """One query after the other uses one model; releasing lets go of it."""
    vision.text("red")
    tower = vision._texts._tower
    assert isinstance(vision._texts, Texts)
    assert tower is not None
    vision.text("green")
    assert vision._texts._tower is tower
    vision.release_text()
    assert vision._texts._tower is None


def test_info_says_what_is_in_use(vision: Vision) -> None:
    """Health can tell bundle, labels and provider."""
    info = vision.info()
    assert (info.bundle, info.version, info.labels, info.label_count) == ("toy", "1", "colours", 3)
    assert info.providers.in_use == "CPUExecutionProvider"
    assert info.dimension == 3
    assert len(info.sha256) == len(info.labels_sha256) == 64
