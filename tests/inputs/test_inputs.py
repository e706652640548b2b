"""Pictures of every kind open as upright RGB, and reach the network as its own library has it."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generator.errors import CutawayError, UsageError
from generator.exhibit import Exhibit, ImageSpec, ModelSpec, Preprocessing, TextSpec
from generator.exhibit_yaml import load_exhibit
from generator.inputs.images import as_pixels, as_seen, curated_images, open_rgb
from generator.inputs.pool import image_pool
from generator.inputs.texts import curated_texts
from generator.models.compat import repair_torchvision
from generator.paths import data_root
from generator.techniques.recognition import _one_a_subject

CHECKOUT = Path(__file__).parents[2]
GREY = (128, 128, 128)


def exhibit_of(base: Path, **inputs) -> Exhibit:
    made = Exhibit(models=(ModelSpec(id="m", source="timm:x"),), **inputs)
    return made.model_copy(update={"base": base})


def saved(folder: Path, image: Image.Image, name: str = "picture.png", **options) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def opened(folder: Path, image: Image.Image, name: str = "picture.png", **options) -> np.ndarray:
    found = open_rgb(saved(folder, image, name, **options))
    assert found.mode == "RGB"
    return np.asarray(found)


def two_colours(mode: str, left, right, size: tuple[int, int] = (4, 2)) -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return image


# Opening


def test_a_grey_picture_has_three_equal_channels(tmp_path):
    found = opened(tmp_path, two_colours("L", 10, 200))
    assert found.shape == (2, 4, 3)
    assert found[0, 0].tolist() == [10, 10, 10]
    assert found[0, 3].tolist() == [200, 200, 200]


def test_a_black_and_white_picture_opens(tmp_path):
    found = opened(tmp_path, two_colours("1", 0, 1))
    assert (found[0, 0].tolist(), found[0, 3].tolist()) == ([0] * 3, [255] * 3)


def test_a_palette_picture_has_its_colours(tmp_path):
    found = opened(tmp_path, two_colours("RGB", (255, 0, 0), (0, 0, 255)).quantize(2))
    assert (found[0, 0].tolist(), found[0, 3].tolist()) == ([255, 0, 0], [0, 0, 255])


@pytest.mark.parametrize(
    ("mode", "clear", "half"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 0, 0, 128)),
        ("LA", (255, 0), (255, 128)),
    ],
)
def test_what_is_transparent_is_laid_over_grey(tmp_path, mode, clear, half):
    found = opened(tmp_path, two_colours(mode, clear, half))
    assert found[0, 0].tolist() == list(GREY)
    mixed = 255 * 128 / 255 + 128 * 127 / 255
    assert found[0, 3, 0] == pytest.approx(mixed, abs=1)


def test_a_transparent_palette_colour_is_laid_over_grey(tmp_path):
    image = two_colours("RGB", (255, 0, 0), (0, 0, 255)).quantize(2)
    clear = image.getpixel((0, 0))
    found = opened(tmp_path, image, transparency=clear)
    assert (found[0, 0].tolist(), found[0, 3].tolist()) == (list(GREY), [0, 0, 255])


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    values = np.array([[0, 65535, 32768, 257 * 40]], dtype=np.uint16)
    found = opened(tmp_path, Image.fromarray(values))
    assert found[0, :, 0].tolist() == [0, 255, 127, 40]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_put_upright(tmp_path, orientation):
    upright = np.zeros((4, 6, 3), dtype=np.uint8)
    upright[0, 0], upright[0, -1], upright[-1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # What the camera stored, by the definition of each orientation in the EXIF standard.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = opened(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(found, upright)


def test_a_single_pixel_opens_and_becomes_a_full_input(tmp_path):
    found = open_rgb(saved(tmp_path, Image.new("RGB", (1, 1), (9, 8, 7))))
    seen = as_seen(found, Preprocessing(size=32))
    assert seen.size == (32, 32)
    assert np.asarray(seen).reshape(-1, 3).tolist() == [[9, 8, 7]] * 1024


def test_a_cmyk_jpeg_opens_in_its_colours(tmp_path):
    image = Image.new("RGB", (16, 16), (200, 30, 60)).convert("CMYK")
    found = opened(tmp_path, image, "picture.jpg", quality=95)
    assert found[8, 8] == pytest.approx((200, 30, 60), abs=8)


def test_the_first_frame_of_an_animation_is_shown(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = tmp_path / "film.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.asarray(open_rgb(path))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", ["picture.png", "picture.jpg", "picture.webp", "picture.tif"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_a_picture_that_is_cut_short_is_refused_by_name(tmp_path, name, kept):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(CutawayError, match=f"{name}: cannot be read as a picture"):
        open_rgb(path)


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("This is not a picture.")
    with pytest.raises(CutawayError, match=r"notes\.png: cannot be read as a picture"):
        open_rgb(path)


@pytest.mark.parametrize("side", [13_000, 40_000])  # a warning and an error to Pillow
def test_a_decompression_bomb_is_refused(tmp_path, side):
    path = saved(tmp_path, Image.new("1", (8, 8)), "bomb.png")
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(CutawayError, match=r"bomb\.png: refused"):
        open_rgb(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damaged_pictures_open_or_are_refused(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))
    options = {}
    if kind not in {"GIF", "BMP"}:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (1, 2, 3)).save(buffer, kind, **options)
    raw = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=6)):
        raw[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"p.{kind.lower()}"
    path.write_bytes(bytes(raw))
    try:
        assert open_rgb(path).mode == "RGB"
    except CutawayError as error:
        assert path.name in str(error)


# Preprocessing


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    folder = CHECKOUT / "site_src" / "inputs" / "images"
    found = [open_rgb(folder / name) for name in ("cat.jpg", "guitar.jpg", "temple.jpg")]
    wide, tall = found[0].resize((401, 257)), found[1].resize((235, 333))
    return [*found, wide, tall, found[2].resize((97, 61))]


# Both libraries resize the same 8-bit pixels with the same Pillow filter and crop the same square;
# only the order of the float32 arithmetic may differ, by a rounding of values up to 3.
ROUNDING = 1e-6


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_large", "efficientnet_b1"])
def test_preprocessing_is_torchvisions_own(photographs, name):
    torchvision = repair_torchvision()
    member = torchvision.models.get_model_weights(name).DEFAULT
    recipe = member.transforms(antialias=True)
    how = Preprocessing(
        size=recipe.crop_size[0],
        crop=recipe.crop_size[0] / recipe.resize_size[0],
        mean=tuple(recipe.mean),
        std=tuple(recipe.std),
        interpolation=recipe.interpolation.value,
    )
    for image in photographs:
        found = as_pixels(as_seen(image, how), how)
        np.testing.assert_allclose(found, recipe(image).numpy(), atol=ROUNDING)


@pytest.mark.parametrize("crop", [0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("size", [160, 224])
def test_preprocessing_is_timms_own(photographs, size, crop):
    repair_torchvision()
    from timm.data import create_transform

    how = Preprocessing(size=size, crop=crop, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    recipe = create_transform(
        (3, size, size),
        interpolation=how.interpolation,
        mean=how.mean,
        std=how.std,
        crop_pct=crop,
        crop_mode="center",
    )
    for image in photographs:
        found = as_pixels(as_seen(image, how), how)
        np.testing.assert_allclose(found, recipe(image).numpy(), atol=ROUNDING)


def test_channels_stand_first_and_each_has_its_own_mean_and_deviation():
    how = Preprocessing(size=8, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    found = as_pixels(Image.new("RGB", (8, 8), (255, 0, 51)), how)
    assert (found.shape, found.dtype) == ((3, 8, 8), np.float32)
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found[:, 0, 0], [1, -1, (0.2 - 1) / 0.25], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(8, 40),
    st.floats(0.1, 1),
)
def test_the_square_is_always_full(width, height, size, crop):
    how = Preprocessing(size=size, crop=crop)
    seen = as_seen(Image.new("RGB", (width, height), (200, 100, 50)), how)
    assert seen.size == (size, size)
    # Nothing of the black that Pillow fills in beyond the edge of a picture.
    assert np.asarray(seen).min() == 50


# Collections


def test_the_shipped_table_names_every_picture_with_licence_origin_and_alt_text(exhibit):
    found = curated_images(exhibit)
    on_disk = {file.name for file in (CHECKOUT / "site_src/inputs/images").iterdir()}
    assert {image.path.name for image in found} == on_disk
    assert len({image.id for image in found}) == len(found)
    for image in found:
        assert image.sha256 == hashlib.sha256(image.path.read_bytes()).hexdigest()
        assert "not stated" not in (image.licence, image.origin)
        assert len(image.alt) > 20


def test_a_folder_without_a_table_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("b_black-cat.png", "a.jpg", "Über 1.PNG"):
        saved(folder, Image.new("RGB", (4, 4)), name)
    (folder / "notes.txt").write_text("no picture")
    found = curated_images(exhibit_of(tmp_path, images="pictures"))
    assert [(image.id, image.label) for image in found] == [
        ("a", "a"),
        ("b-black-cat", "b black cat"),
        ("ber-1", "Über 1"),
    ]
    assert all(image.licence == image.origin == "not stated" for image in found)
    assert found[0].alt == "A picture labelled a."


def test_a_folder_with_a_table_follows_the_table(tmp_path):
    saved(tmp_path, Image.new("RGB", (4, 4)), "one.png")
    saved(tmp_path, Image.new("RGB", (4, 4)), "two.png")
    (tmp_path / "images.yml").write_text("- file: two.png\n  label: second\n")
    found = curated_images(exhibit_of(tmp_path, images="."))
    assert [(image.path.name, image.label) for image in found] == [("two.png", "second")]


def test_a_folder_without_pictures_is_refused_with_what_is_there(tmp_path):
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(UsageError, match=r"holds no picture"):
        curated_images(exhibit_of(tmp_path, images="."))
    (tmp_path / "cow.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(UsageError) as caught:
        curated_images(exhibit_of(tmp_path, images="."))
    assert "cow.heic" in caught.value.hint


def test_pictures_are_what_can_be_opened_and_the_rest_is_named_once(tmp_path, capsys):
    picture = Image.new("RGB", (4, 4), (9, 9, 9))
    for name in ("pics/cat.png", "pics/a/cat.png", "pics/.checkpoints/cat.png", "pics/._cat.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / name)
    picture.save(tmp_path / "pics" / "sheep.jfif", format="JPEG")
    picture.save(tmp_path / "pics" / "drawn.eps", format="EPS")
    (tmp_path / "pics" / "folder.png").mkdir()
    (tmp_path / "pics" / "cow.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (tmp_path / "pics" / "pool.csv").write_text("file,label,licence,origin\n")
    exhibit = exhibit_of(tmp_path, images="pics", pool="pics")
    assert [one.path.name for one in curated_images(exhibit)] == ["cat.png", "sheep.jfif"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith("a picture: cow.heic, drawn.eps, pool.csv.\n")
    found = [one.path.relative_to(tmp_path / "pics").as_posix() for one in image_pool(exhibit)]
    assert found == ["a/cat.png", "cat.png", "sheep.jfif"]
    assert capsys.readouterr().err.endswith("a picture: cow.heic, drawn.eps.\n")
    image_pool(exhibit)
    assert capsys.readouterr().err == ""


def test_a_byte_order_mark_is_no_part_of_what_is_read(tmp_path):
    mark = "\ufeff"
    (tmp_path / "pool").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "pool" / "one.png")
    files = {
        "pool.csv": "file,label,licence,origin\r\none.png,an ant,CC0-1.0,own\r\n",
        "pool/images.yml": "- {file: one.png, label: a bee}\n",
        "texts.txt": "rain fell\n",
        "texts.yml": "- {id: rain, text: rain fell}\n",
        "exhibit.yml": "models: [{id: net, source: timm:test_resnet}]\npool: pool\nimages: pool\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes((mark + text).encode())
    exhibit = load_exhibit(tmp_path)
    assert [one.label for one in image_pool(exhibit)] == ["an ant"]
    assert [one.label for one in curated_images(exhibit)] == ["a bee"]
    for name in ("texts.txt", "texts.yml"):
        assert [one.text for one in curated_texts(exhibit_of(tmp_path, texts=name))] == [
            "rain fell"
        ]


def test_a_missing_picture_is_named(tmp_path):
    specs = (ImageSpec(file="gone.png", label="gone"),)
    with pytest.raises(UsageError, match=r"gone\.png: there is no such picture"):
        curated_images(exhibit_of(tmp_path, images=specs))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.yml: there is no such list of pictures"):
        curated_images(exhibit_of(tmp_path, images="gone.yml"))


def test_a_damaged_picture_stops_the_exhibit_and_is_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(CutawayError, match=r"bad\.png"):
        curated_images(exhibit_of(tmp_path, images=(ImageSpec(file="bad.png", label="x"),)))


def test_pictures_of_one_name_get_ids_of_their_own(tmp_path):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        saved(tmp_path / folder, Image.new("RGB", (4, 4)), "cat.png")
    specs = [ImageSpec(file=f"{folder}/cat.png", label="cat") for folder in "abc"]
    found = curated_images(exhibit_of(tmp_path, images=tuple(specs)))
    assert [image.id for image in found] == ["cat", "cat-2", "cat-3"]


def test_pictures_of_one_thing_have_one_subject(tmp_path):
    folder = tmp_path / "pool"
    names = ("a.png", "b/b.png", "b/b-2.png", "b/b-3.png", "c.png", "d.png", "e.png")
    for shade, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        saved(folder, Image.new("RGB", (4, 4), (shade, 0, 0)), name)
    # A chain, a file that is gone, a circle, and a file that the table does not name.
    origin = {"b/b-3.png": "b/b-2.png", "b/b-2.png": "b/b.png", "c.png": "gone.png"}
    origin |= {"d.png": "e.png", "e.png": "d.png"}
    rows = [f"{name},x,x,x,{origin.get(name, '')}" for name in names[1:]]
    table = "file,label,licence,origin,variant_of\n" + "\n".join(rows)
    (folder / "pool.csv").write_text(table, encoding="utf-8")
    found = {
        picture.path.relative_to(folder).as_posix(): picture.subject
        for picture in image_pool(exhibit_of(tmp_path, pool="pool"))
    }
    assert found == {
        "a.png": "a.png",
        "b/b.png": "b/b.png",
        "b/b-2.png": "b/b.png",
        "b/b-3.png": "b/b.png",
        "c.png": "gone.png",
        "d.png": "d.png",
        "e.png": "d.png",
    }


def test_crops_of_one_photograph_are_one_subject_and_a_class_may_be_empty(tmp_path):
    names = ("a/x.png", "a/y.png", "a/z.png", "b/x-2.png", "b/own.png")
    for shade, name in enumerate(names):
        (tmp_path / "pool" / name).parent.mkdir(parents=True, exist_ok=True)
        saved(tmp_path / "pool", Image.new("RGB", (4, 4), (shade, 0, 0)), name)
    # A variant of a crop shows the photograph too; a photograph may be called like a file of the pool.
    rows = ["a/x.png,x,x,x,,hill,", "a/y.png,x,x,x,,hill,sky", "a/z.png,x,x,x,,b/own.png,sky"]
    rows += ["b/x-2.png,x,x,x,a/x.png,,", "b/own.png,x,x,x,,,"]
    table = "file,label,licence,origin,variant_of,photograph,class\n" + "\n".join(rows)
    (tmp_path / "pool.csv").write_text(table, encoding="utf-8")
    found = image_pool(exhibit_of(tmp_path, pool="pool"))
    hill, other = "photograph: hill", "photograph: b/own.png"
    assert [one.subject for one in found] == [hill, hill, other, "b/own.png", hill]
    assert [one.group for one in found] == ["", "sky", "sky", "", ""]


def test_crops_of_the_photographs_stand_on_one_side_of_every_split():
    """Held out, counted and dealt anew by subject: no photograph may lie on both sides."""
    pool = image_pool(load_exhibit(data_root()))
    crops = [one for one in pool if one.path.parent.name == "photograph"]
    of = {one.path.stem.rpartition("-")[0] for one in crops}
    assert len(crops) > len(of) == len({one.subject for one in crops})
    # What is learned is learned from cut-outs: half a photograph of a koala may show its tree.
    assert not any(one.group or one.classes for one in crops)


def test_the_same_bytes_and_the_thing_of_a_curated_picture_are_one_subject(tmp_path):
    shades = {"pool/a.png": 1, "pool/b.png": 2, "pool/c.png": 1, "pool/d.png": 4, "bear.png": 9}
    for name, shade in shades.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        saved(tmp_path, Image.new("RGB", (4, 4), (shade, 0, 0)), name)
    # b is another view of c, whose bytes are those of a; d shows what a picture outside the pool shows.
    rows = ["b.png,x,x,x,c.png", "d.png,x,x,x,bear.png"]
    table = "file,label,licence,origin,variant_of\n" + "\n".join(rows)
    (tmp_path / "pool.csv").write_text(table, encoding="utf-8")
    subjects = [one.subject for one in image_pool(exhibit_of(tmp_path, pool="pool"))]
    outside = hashlib.sha256((tmp_path / "bear.png").read_bytes()).hexdigest()
    assert subjects == ["a.png", "a.png", "a.png", outside]


def test_pictures_that_are_changed_show_each_thing_once():
    exhibit = load_exhibit(data_root())
    curated, pool = curated_images(exhibit), image_pool(exhibit)
    digests = {one.sha256 for one in curated}
    twice = {one.label for one in pool if one.subject in digests}
    assert {"brown bear", "fire engine", "hot air balloon", "mantis"} <= twice and len(twice) == 9
    chosen = _one_a_subject(pool, digests)
    assert not digests & {one.subject for one in chosen}
    assert len({one.subject for one in chosen}) == len(chosen) > 30


def test_texts_come_one_a_line_from_a_plain_file(tmp_path):
    (tmp_path / "texts.txt").write_text("First text.\n\n  Second text.  \n", encoding="utf-8")
    found = curated_texts(exhibit_of(tmp_path, texts="texts.txt"))
    assert [(text.id, text.text) for text in found] == [
        ("text-1", "First text."),
        ("text-2", "Second text."),
    ]
    assert found[0].phenomenon == "Text 1"


@pytest.mark.parametrize("suffix", ["yml", "yaml", "YML"])
def test_texts_come_from_a_table(tmp_path, suffix):
    body = "- id: code\n  phenomenon: Code\n  look_for: Names.\n  text: |\n    a = 1\n    b = a\n"
    (tmp_path / f"texts.{suffix}").write_text(body)
    (found,) = curated_texts(exhibit_of(tmp_path, texts=f"texts.{suffix}"))
    assert (found.id, found.text) == ("code", "a = 1\nb = a")
    assert (found.phenomenon, found.look_for) == ("Code", "Names.")


def test_an_id_used_twice_is_refused_by_name():
    texts = tuple(TextSpec(id="same", text=text) for text in ("one", "two"))
    with pytest.raises(UsageError, match="'same' is used more than once"):
        curated_texts(exhibit_of(Path(), texts=texts))


def test_a_text_without_a_phenomenon_goes_by_its_id():
    (found,) = curated_texts(exhibit_of(Path(), texts=(TextSpec(id="plain", text="a"),)))
    assert found.phenomenon == "plain"


def test_texts_that_are_missing_or_no_text_are_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.txt: there is no such file of texts"):
        curated_texts(exhibit_of(tmp_path, texts="gone.txt"))
    shutil.copy(CHECKOUT / "site_src/inputs/images/cat.jpg", tmp_path / "cat.txt")
    with pytest.raises(UsageError, match=r"cat\.txt: cannot be read as UTF-8 text"):
        curated_texts(exhibit_of(tmp_path, texts="cat.txt"))
