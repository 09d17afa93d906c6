from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from edge.errors import ExportError
from edge.vision.decode import decode, read_header
from edge.vision.manifest import ImageInput, Visual
from edge.vision.preprocess import Preprocessor, allocate
from export import choice, evaluation, pictures
from export.choice import blank, choose, choose_both
from export.pictures import Image, Lazy
from tests.shared import shared


def scene(seed: int, width: int = 64, height: int = 48) -> Image:
    """Noise, different for every seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_jpeg(path: Path, image: Image) -> Path:
    """An image as a camera would write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=90, colorspace="RGB"))
    return path


def fill(folder: Path, count: int, first: int = 0) -> Path:
    """A folder of two cameras' images."""
    for number in range(first, first + count):
        write_jpeg(folder / "ab"[number % 2] / f"IMG_{number * 10:05}.JPG", scene(number))
    return folder


def test_the_same_images_are_chosen_wherever_the_folder_lies(tmp_path: Path) -> None:
    """A copy of a folder, its files touched in another order, gives the same choice in the same order."""
    one = fill(tmp_path / "one", 30)
    shutil.copytree(one, tmp_path / "deeper" / "two", copy_function=shutil.copyfile)
    first, again = choose(one, 12), choose(tmp_path / "deeper" / "two", 12)
    assert [picture.name for picture in first.pictures] == [picture.name for picture in again.pictures]
    assert (first.digest, first.found, len(first.pictures)) == (again.digest, 30, 12)
    assert {picture.name[0] for picture in first.pictures} == {"a", "b"}


def test_files_that_cannot_be_read_are_counted_with_reasons(tmp_path: Path) -> None:
    """A cut-off image, a text and an empty file are passed over; others take their place."""
    folder = fill(tmp_path, 12)
    whole = (folder / "a" / "IMG_00000.JPG").read_bytes()
    (folder / "a" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "a" / "text.jpg").write_text("no image")
    (folder / "a" / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("not looked at")
    chosen = choose(folder, 100)
    assert len(chosen.pictures) == 12
    assert chosen.found == 15
    reasons = {skipped.name: skipped.reason for skipped in chosen.skipped}
    assert set(reasons) == {"a/cut.jpg", "a/text.jpg", "a/empty.png"}
    assert "cut off or damaged" in reasons["a/cut.jpg"]
    assert "not a JPEG image" in reasons["a/text.jpg"]


def test_too_few_images_are_an_error_that_says_why(tmp_path: Path) -> None:
    """Counts, the least that is needed, and the first reason."""
    fill(tmp_path, 3)
    (tmp_path / "a" / "text.jpg").write_text("no image")
    with pytest.raises(ExportError, match="too few images: 3 of at least 8") as caught:
        choose(tmp_path)
    assert "4 files looked like JPEG or PNG, 1 couldn't be used; a/text.jpg: not a JPEG" in caught.value.hint


def test_a_folder_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """Not a bare error of the system."""
    with pytest.raises(ExportError, match="folder can't be listed"):
        choose(tmp_path / "nowhere")


def test_one_folder_for_both_is_split(tmp_path: Path) -> None:
    """No image is in both, and nothing is left out that could be used."""
    folder = fill(tmp_path, 40)
    ours, theirs = choose_both(folder, folder)
    assert ours is not None
    assert theirs is not None
    first, second = ({picture.sha256 for picture in part.pictures} for part in (ours, theirs))
    assert not first & second
    assert len(first | second) == 40


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_folder_in_the_other_the_images_are_its_own(tmp_path: Path, *, turned: bool) -> None:
    """Otherwise one burst would be calibrated with and judged by."""
    inner = fill(tmp_path, 20) / "a"
    folders = (inner, tmp_path) if turned else (tmp_path, inner)
    sides = choose_both(*folders)
    outer = sides[folders.index(tmp_path)]
    assert outer is not None
    assert len(outer.pictures) == 10
    assert not any(picture.name.startswith("a/") for picture in outer.pictures)


def test_folders_that_share_contents_are_kept_apart(tmp_path: Path) -> None:
    """A copy under another name is the same image: it isn't evaluated on what it was calibrated with."""
    ours, theirs = fill(tmp_path / "ours", 10), fill(tmp_path / "theirs", 10, first=100)
    shutil.copyfile(ours / "a" / "IMG_00000.JPG", theirs / "a" / "renamed.jpg")
    first, second = choose_both(ours, theirs)
    assert first is not None
    assert second is not None
    assert len(second.pictures) == 10
    assert [(skipped.name, skipped.reason) for skipped in second.skipped] == [
        ("a/renamed.jpg", "used for calibration")
    ]


def test_progress_is_told(tmp_path: Path) -> None:
    """Looking through and reading are told apart, with counts."""
    told: list[tuple[str, int, int]] = []
    choose(fill(tmp_path / "mine", 9), 9, step=lambda *step: told.append(step))
    assert ("looking through mine", 0, 9) in told
    assert ("reading mine", 8, 9) in told


def test_black_images_are_seen_to_be_useless(tmp_path: Path) -> None:
    """They can be read, so they are chosen; why nothing can come of them is said in words."""
    for number in range(10):
        image = np.full((48, 64, 3), number // 5, np.uint8)  # black, as far as anyone can see
        write_jpeg(tmp_path / f"{number}.jpg", image)
    chosen = choose(tmp_path)
    assert len(chosen.pictures) == 10
    assert blank(chosen.pictures) == "10 of 10 calibration images are of one colour all over"
    assert blank(choose(fill(tmp_path / "sound", 12)).pictures) == ""


def test_copies_of_one_image_are_seen_to_be_useless(tmp_path: Path) -> None:
    """A folder of one image many times calibrates for that image."""
    for number in range(10):
        write_jpeg(tmp_path / f"{number}.jpg", scene(0))
    assert blank(choose(tmp_path).pictures) == "only 1 of 10 calibration images differ from each other"


def test_pixels_are_those_that_the_device_sees(tmp_path: Path) -> None:
    """The same decoder at the same reduction."""
    path = write_jpeg(tmp_path / "a.jpg", scene(1, 640, 480))
    picture = pictures.look(path, "a.jpg")
    data = path.read_bytes()
    header = read_header(data, max_pixels=10_000_000)
    assert np.array_equal(picture.image((300, 200)), decode(data, header, 2))
    assert np.array_equal(picture.image(), decode(data, header, 1))
    assert (picture.width, picture.height) == (640, 480)
    assert picture.jpeg() == data


def test_nothing_is_kept_in_memory_until_it_is_asked_for(tmp_path: Path) -> None:
    """Images are made at access; an image that went away is an error only then."""
    folder = fill(tmp_path, 10)
    chosen = choose(folder)
    some = pictures.images(chosen.pictures, (32, 32))
    chosen.pictures[3].path.unlink()
    assert isinstance(some, Lazy)
    assert some[0].shape[2] == 3
    assert len(some[2:5]) == 3
    with pytest.raises(ExportError, match="can't be read any more"):
        some[3]


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize(("layout", "dtype"), [("NHWC", "uint8"), ("NCHW", "float32")])
def test_feeds_are_what_the_device_would_compute(
    tmp_path: Path, resize: str, layout: str, dtype: str
) -> None:
    """Going by way of kept canvases changes no number, on the first pass or the second."""
    spec = ImageInput.model_validate(
        {
            "name": "x", "width": 40, "height": 24, "layout": layout, "dtype": dtype, "resize": resize,
            "interpolation": "area", **({"mean": (1, 2, 3), "std": (4, 5, 6)} if dtype == "float32" else {}),
        }
    )  # fmt: skip
    source = [scene(seed, 100 + seed, 80) for seed in range(3)]
    feeds = pictures.feeds(source, spec, tmp_path)
    direct = Preprocessor(spec)
    for _ in range(2):
        for image, feed in zip(source, feeds, strict=True):
            want = allocate(spec)
            direct(image, want[0])
            assert np.array_equal(feed["x"], want)


def test_feeds_read_each_image_once() -> None:
    """Quantisers go over calibration images many times; decoding them is what takes the time."""
    reads: list[int] = []

    def read(index: int) -> Image:
        reads.append(index)
        return scene(index)

    spec = ImageInput(name="x", width=8, height=8, layout="NHWC", dtype="uint8")
    feeds = pictures.feeds(Lazy(read, range(4)), spec)
    for _ in range(3):
        list(feeds)
    assert reads == [0, 1, 2, 3]


def _visual() -> Visual:
    spec = ImageInput(name="x", width=32, height=32, layout="NHWC", dtype="uint8")
    return Visual(
        file="v.onnx", sha256="0" * 64, opset=17, precision="fp32", input=spec, output="y", dimension=4,
        logit_scale=1, crop_margin=0,
    )  # fmt: skip


def test_crops_are_the_image_and_what_was_found_in_it(tmp_path: Path) -> None:
    """First the whole image, then its boxes; a small box is cut from a finer decode."""
    path = write_jpeg(tmp_path / "a.jpg", scene(1, 640, 480))
    picture = pictures.look(path, "a.jpg")
    boxes = np.array([[0.5, 0.5, 0.55, 0.55]])
    whole, crop = pictures.crops([picture], [boxes], _visual(), (64, 48))
    assert whole.shape[:2] == (60, 80)
    # A 20th of 640 pixels is 32 at full size, 16 at half, which is just sharp enough for 32.
    assert crop.shape[:2] == (16, 16)
    assert np.array_equal(crop, picture.reduced(2)[118:134, 160:176])


def test_png_takes_part(tmp_path: Path) -> None:
    """Collections are often kept in it; for visits it becomes a JPEG."""
    image = scene(3)
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), image[:, :, ::-1])
    picture = pictures.look(tmp_path / "a.png", "a.png")
    assert np.array_equal(picture.image((8, 8)), image)
    data = picture.jpeg()
    assert decode(data, read_header(data, max_pixels=10_000)).shape == image.shape


def test_frames_have_the_times_of_their_names_and_others_come_in_bursts(tmp_path: Path) -> None:
    """By camera, then by time; images without one are visits of three, an hour apart."""
    for name in ("b/x_20200101_1005.jpg", "b/x_20200101_1000.jpg"):
        write_jpeg(tmp_path / name, scene(len(name)))
    for number in range(7):
        write_jpeg(tmp_path / "a" / f"{'stuvwxyz'[number]}.jpg", scene(number))
    chosen = choose(tmp_path)
    frames = evaluation.frames(tmp_path, chosen.pictures)
    assert [frame.deployment for frame in frames] == ["a"] * 7 + ["b"] * 2
    assert [frame.t // 60_000 for frame in frames[:7]] == [0, 1, 2, 60, 61, 62, 120]
    assert [frame.name for frame in frames[7:]] == ["b/x_20200101_1000.jpg", "b/x_20200101_1005.jpg"]
    assert [frame.timed for frame in frames] == [False] * 7 + [True] * 2


def test_material_says_where_it_came_from(tmp_path: Path) -> None:
    """Counts and the hash of the choice, no path of the machine it was made on."""
    folder = fill(tmp_path, 20)
    ours, theirs = evaluation.gather(folder, None, (10, 10))
    mine = ours.provenance
    assert (mine.kind, mine.count, mine.found, mine.distinct, mine.cameras) == ("own", 10, 20, 10, 2)
    assert str(tmp_path) not in repr(mine)
    assert theirs.provenance.kind == "made up"
    assert len(theirs.frames()) == len(theirs.images((32, 24))) == theirs.provenance.count == 48
    assert ours.blank() == theirs.blank() == ""


def test_made_up_crops_are_the_scene_and_what_was_found_in_it() -> None:
    """As for own images."""
    made = evaluation.MadeUp(2, 7)
    boxes = [np.array([[0.0, 0.0, 0.5, 0.5]]), np.empty((0, 4))]
    cut = made.crops(boxes, _visual(), (64, 48))
    assert [image.shape[:2] for image in cut] == [(48, 64), (32, 32), (48, 64)]


def test_real_images_keep_their_cameras_and_times() -> None:
    """EXIF where there is one, file names where they tell, next to nothing in the third set."""
    folder = shared("data", "trap-images")
    chosen = choose(folder, 60)
    frames = evaluation.frames(folder, chosen.pictures)
    timed = {name: [frame.timed for frame in frames if frame.deployment == name] for name in
             ("BUOW", "Jaguar", "ena24")}  # fmt: skip
    assert all(timed["BUOW"])
    assert all(timed["Jaguar"])
    assert sum(timed["ena24"]) <= 1
    assert (len(chosen.pictures), chosen.found, chosen.skipped) == (60, 60, ())
    assert choice.blank(chosen.pictures) == ""


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_a_canvas_is_left_as_it_is_by_the_preprocessing(resize: str) -> None:
    """What is drawn once can be looked at in place of the image."""
    spec = ImageInput.model_validate(
        {"name": "x", "width": 40, "height": 24, "layout": "NHWC", "dtype": "uint8", "resize": resize}
    )
    image = scene(5, 100, 90)
    (canvas,) = pictures.canvases([image], spec)
    once, twice = allocate(spec), allocate(spec)
    Preprocessor(spec)(image, once[0])
    Preprocessor(spec)(canvas, twice[0])
    assert np.array_equal(once, twice)
