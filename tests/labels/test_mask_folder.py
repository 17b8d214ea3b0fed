"""Mask pictures of every kind, random ones too: the pixels that were drawn, or one clear line."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, error_line, many, seeds
from hypothesis import given
from label_files import (
    damaged,
    import_labels,
    import_masks,
    imported,
    masks_of,
    read_pictures,
    save_mask,
    write_photos,
)
from PIL import Image

from camera_trapinator import IGNORE, InputError

WIDTH, HEIGHT = 24, 16
RED = (255, 0, 0)


def white_square(mode, value=255):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[4:9, 6:12] = value
    return Image.fromarray(pixels).convert(mode), pixels > 0


# ------------------------------------------------------------------------ kinds of pictures


@pytest.mark.parametrize("table", ["colour,name\n#ffffff,fox\n", "value,name\n255,fox\n",
                                   "color;name\n255 255 255;fox\n",
                                   "name,value,colour\nfox,255,\nfox,,#ffffff\n"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_white_is_a_class_however_it_is_stored(mode, table, tmp_path):
    """255 would else be ignored: masks of nothing but background and ignored pixels."""
    picture, inside = white_square(mode)
    save_mask(tmp_path, picture)
    if mode == "P" and "value" in table and "colour" not in table:
        pixels = np.array(picture)  # here the index counts
        table = f"value,name\n{pixels[5, 7]},fox\n{pixels[0, 0]},background\n"
    masks, names = read_pictures(tmp_path, table)
    assert names == ["background", "fox"]
    assert np.array_equal(masks["1.jpg"], inside)


def test_palettes_go_by_colour_where_the_table_knows_it_else_by_row(tmp_path):
    table = ("# label:color_rgb:parts:actions\n"
             "Background:0,0,0::\nhare:50,183,250::\nfox:250,50,83::\n")
    picture, inside = white_square("P", 1)
    for palette, value in (([0, 0, 0, 250, 50, 83], 2), ([7] * 6, 1), ([0] * 6, 1)):
        picture.putpalette(palette + [0] * 762)
        save_mask(tmp_path, picture)
        masks, names = read_pictures(tmp_path, table, "labelmap.txt")
        assert names == ["background", "hare", "fox"]
        assert np.array_equal(masks["1.jpg"], inside * value)


def test_voc_palettes_need_not_name_what_is_ignored(tmp_path):
    index = np.repeat(np.array([0, 15, 255], np.uint8), 8)[None].repeat(HEIGHT, 0)
    picture = Image.fromarray(index).convert("P")
    voc = np.zeros((256, 3), np.uint8)
    voc[15], voc[255] = (192, 128, 128), (224, 224, 192)
    picture.putpalette(voc.tobytes())
    save_mask(tmp_path, picture)
    for table in ("value,name\n15,person\n", "colour,name\n192 128 128,person\n",
                  "background:0,0,0::\nperson:192,128,128::\n"):
        masks, names = read_pictures(tmp_path, table, "labelmap.txt")
        assert names == ["background", "person"]
        assert np.array_equal(masks["1.jpg"], np.select([index == 15, index == 255], [1, IGNORE]))


def test_a_transparent_palette_entry_is_background(tmp_path):
    picture, inside = white_square("P", 1)
    picture.putpalette([255, 255, 255, *RED] + [0] * 762)
    save_mask(tmp_path, picture, transparency=0)
    masks, _ = read_pictures(tmp_path, "colour,name\n#ff0000,fox\n#ffffff,hare\n")
    assert np.array_equal(masks["1.jpg"], inside)


@pytest.mark.parametrize(("mode", "options", "ending", "part"), [
    ("CMYK", {}, ".tif", "CMYK are not exact"), ("RGB", {"format": "JPEG"}, ".png", "a JPEG"),
    ("RGB", {"compression": "jpeg"}, ".tif", "a JPEG"),
    ("L", {"save_all": True, "append_images": [white_square("L")[0]]}, ".tif", "2 pages"),
])
def test_pictures_that_hold_no_exact_classes_are_refused(mode, options, ending, part, tmp_path):
    save_mask(tmp_path, white_square(mode)[0], f"1{ending}", **options)
    with pytest.raises(InputError, match=part) as refusal:
        read_pictures(tmp_path, "value,name\n255,fox\n", ending=ending)
    assert str(refusal.value).count(f"1{ending}") == 1


@pytest.mark.parametrize("strange", [1.6, float("nan"), float("inf"), -1.0])
def test_float_pictures_hold_classes_only_if_whole(strange, tmp_path):
    pixels = white_square("F", 2)[1] * np.float32(2)
    save_mask(tmp_path, pixels, "1.tif")
    table = "value,name\n2,fox\n"
    assert np.array_equal(read_pictures(tmp_path, table, ending=".tif")[0]["1.jpg"], pixels > 0)
    pixels[0, 0] = strange
    save_mask(tmp_path, pixels, "1.tif")
    with pytest.raises(InputError, match=r"1\.tif: value"):
        read_pictures(tmp_path, table, ending=".tif")


def test_all_values_are_told_and_the_lines_that_the_table_lacks(tmp_path):
    save_mask(tmp_path, np.repeat(np.arange(HEIGHT, dtype=np.uint8)[:, None], WIDTH, 1))
    with pytest.raises(InputError) as refusal:
        read_pictures(tmp_path, "value,name\n1,fox\n")
    assert "found 0 (24 pixels), 1 (24 pixels), 2 (24" in str(refusal.value)
    assert "a line each: 2,NAME 3,NAME" in str(refusal.value)


@pytest.mark.parametrize("table", [
    "colour,name\n² 0 0,fox\n", "value,name\n٣,fox\n", "colour,name\n256 0 0,fox\n",
    "value,colour,name\n,,fox\n", "value,name\n1\n", 'value,name\n1,"' + "x" * 200_000,
    "value,name\n123456,fox\n", "value,colour,name\n1,#000001,fox\n2,#000001,hare\n"])
def test_lines_of_the_table_that_are_wrong_are_refused_by_number(table, tmp_path):
    save_mask(tmp_path, white_square("L")[0])
    with pytest.raises(InputError, match=r"table\.csv, line [23]: ") as refusal:
        read_pictures(tmp_path, table)
    assert len(str(refusal.value)) < 400


# ------------------------------------------------------------------------- random pictures


def random_masks(folder, random):
    """Mask pictures of any kind; the table, the reader's options, and what must come out."""
    index = random.integers(0, 4, (HEIGHT, WIDTH))  # background, two classes, ignored
    index[0, :2] = 1, 2
    kind = random.choice(["L", "P", "I;16", "RGB", "RGBA", "rows"])
    values = np.sort(random.permutation(np.arange(1, 60_000 if kind == "I;16" else 255))[:3])
    values = np.array([0, *values])
    colours = np.array([(0, 0, 0), *random.permutation(np.arange(1, 250))[:9].reshape(3, 3)])
    names = ["background", "fox", "red-backed vole", random.choice(["ignore", ""])]
    name = "table.csv"
    if kind in ("RGB", "RGBA"):
        pixels = colours.astype(np.uint8)[index]
        if kind == "RGBA":
            pixels = np.dstack([pixels, np.where(index > 0, 255, 0).astype(np.uint8)])
        rows = [f"{' '.join(map(str, colour))},{name}" if random.random() < 0.5 else
                f"#{bytes(colour.tolist()).hex()},{name}"
                for colour, name in zip(colours, names, strict=True)]
        table = "colour,name\n" + "\n".join(rows)
    elif kind == "rows":
        name, pixels = "labelmap.txt", index.astype(np.uint8)
        table = "\n".join(f"{name}:{','.join(map(str, colour))}::" for name, colour in
                          zip(names, [(9, 9, 9), *(colours[1:] // 2 * 2 + 4)], strict=True))
    else:
        pixels = values.astype(np.uint16 if kind == "I;16" else np.uint8)[index]
        table = "value,name\n" + "\n".join(f"{value},{name}" for value, name in
                                           zip(values, names, strict=True))
    picture = Image.fromarray(pixels)
    if kind == "P":
        picture = picture.convert("P")
        picture.putpalette(random.integers(0, 256, 768).tolist())
    ending = random.choice([".png", "_mask.png", ".jpg.png", ".tif"])
    save_mask(folder, picture, f"a/1{ending}")
    if ending == ".jpg.png":
        ending = ".png"  # our own form: the photo's whole name comes first
    return table, {"name": name, "ending": ending, "photos": ("a/1.jpg", "b/1.jpg")}, np.array(
        [0, 1, 2, IGNORE])[index]


def test_random_pictures_give_the_right_masks():
    @many
    @given(seeds)
    def check(seed):
        with tempfile.TemporaryDirectory() as name:
            table, options, expected = random_masks(Path(name), np.random.default_rng(seed))
            masks, names = read_pictures(Path(name), table, **options)
            assert names == ["background", "fox", "red-backed vole"]
            assert masks.keys() == {"a/1.jpg"}
            assert np.array_equal(masks["a/1.jpg"], expected)
    check()


@pytest.mark.filterwarnings("error")  # Pillow's would stand on the screen before our line
def test_damaged_pictures_and_tables_give_one_clear_line_and_no_data_root():
    refused = []

    @many
    @given(seeds)
    def check(seed):
        with tempfile.TemporaryDirectory() as name:
            folder, random = Path(name), np.random.default_rng(seed)
            table, options, _ = random_masks(folder, random)
            path = next((folder / "masks/a").iterdir())
            data = damaged(path.read_bytes() if seed % 2 else table.encode(), random, flips=4,
                           longest=2)
            # The photo keeps the size of the sound mask.
            (folder / "card/a").mkdir(parents=True)
            Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "card/a/1.jpg")
            if seed % 2:
                path.write_bytes(data)
            else:
                table = data.decode("latin-1")
            try:
                masks, names = read_pictures(folder, table, **{**options, "photos": ()})
            except InputError as error:
                refused.append(seed)
                assert "\n" not in str(error)
                assert path.name in str(error) or options["name"] in str(error)
                assert not (folder / "out").exists()
            else:
                assert set(np.unique(masks["a/1.jpg"])) <= {*range(len(names)), IGNORE}
    check()
    assert EXAMPLES * 0.3 < len(refused) < EXAMPLES * 0.98


# ---------------------------------------------------------------------------- by the script


@pytest.mark.parametrize("form", ["grey", "palette", "16 bits", "voc colours"])
def test_mask_pictures_of_every_form(form, tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg", "b/1.jpg")
    classes = np.random.default_rng(0).integers(0, 3, (48, 64))
    values = np.array([0, 128, 300 if form == "16 bits" else 200])[classes]
    table, ending = f"value,name\n128,fox\n{values.max()},ignore\n", ".png"
    picture = Image.fromarray(values.astype(np.uint16 if form == "16 bits" else np.uint8))
    if form == "16 bits":
        ending = "_mask.tif"
    elif form == "palette":  # 8 of 10 colours the same: the index counts, not the colour
        picture = Image.fromarray(values.astype(np.uint8)).convert("P")
        picture.putpalette([7] * 768)
    elif form == "voc colours":
        colours = np.array([(0, 0, 0), (128, 0, 0), (224, 224, 192)], np.uint8)
        picture, table = Image.fromarray(colours[classes]), "colour,name\n#800000,fox\n"
    for name in ("a/1", "b/1"):
        path = tmp_path / "masks" / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    result = import_masks(tmp_path, table, "--ending", ending)
    assert result.returncode == 0, result.stderr
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox"] and masks.keys() == {"card/a/1.jpg", "card/b/1.jpg"}
    for mask in masks.values():
        assert np.array_equal(mask, np.array([0, 1, IGNORE])[classes])


def test_the_segmentation_masks_of_cvat(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    export = tmp_path / "export"
    (export / "SegmentationClass").mkdir(parents=True)
    (export / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:10,20,30::\n"
                                         "fox:250,50,83::\nhare:50,183,250::\n")
    classes = np.random.default_rng(0).integers(0, 3, (48, 64))
    colours = np.array([(10, 20, 30), (250, 50, 83), (50, 183, 250)], np.uint8)
    Image.fromarray(colours[classes]).save(export / "SegmentationClass/1.png")
    Image.fromarray(classes.astype(np.uint8)).save(export / "SegmentationClass/2.png")
    imported("cvat", export, "--images", tmp_path / "card", "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "hare"]
    assert np.array_equal(masks["card/1.jpg"], classes)
    assert np.array_equal(masks["card/2.jpg"], classes)
    (export / "labelmap.txt").unlink()
    assert "labelmap.txt" in error_line(import_labels(
        "cvat", export, "--images", tmp_path / "card", "--out",
        tmp_path / "other"))


def test_pictures_that_hold_no_classes_are_refused(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "masks").mkdir()
    Image.new("L", (64, 48), 255).save(tmp_path / "masks/1.png")
    assert import_masks(tmp_path, "value,name\n255,fox\n").returncode == 0
    columns = np.mgrid[:48, :64][1]
    Image.fromarray((columns % 3 * 50).astype(np.uint8)).save(tmp_path / "masks/1.png")
    line = error_line(import_masks(tmp_path, "value,name\n50,fox\n"))
    assert "value 100 is not in the table" in line and "50 (1008 pixels)" in line
    Image.new("RGB", (64, 48)).save(tmp_path / "masks/1.png")
    assert "only values" in error_line(import_masks(tmp_path, "value,name\n1,fox\n"))
    Image.new("RGB", (64, 48)).save(tmp_path / "masks/1.png", "JPEG")
    assert "JPEG" in error_line(import_masks(tmp_path, "value,name\n1,fox\n"))
    for table, part in (("value,name\nx,fox\n", "line 2"), ("colour,name\n#ff,fox\n", "#ff"),
                        ("value,name\n1,fox\n1,hare\n", "twice"), ("", "no class"),
                        ("fox\n", "a table begins")):
        assert part in error_line(import_masks(tmp_path, table))
