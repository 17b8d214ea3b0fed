"""Mask pictures of every kind, random ones too: the pixels that were drawn, or one clear line."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, many, seeds
from hypothesis import given
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import read_mask
from camera_trapinator.labels.data_root import write_data_root
from camera_trapinator.labels.mask_folder import read_mask_folder

WIDTH, HEIGHT = 24, 16
RED, GREEN, MAGENTA = (255, 0, 0), (0, 255, 0), (255, 0, 255)
PURPLE = (121, 0, 121)  # a little less than half magenta; no edge here has it exactly


def read(folder, table, name="table.csv", photos=("1.jpg",), **options):
    """The masks {photo: mask} and class names of the pictures in folder/masks."""
    (folder / name).write_text(table, encoding="utf-8")
    for photo in photos:
        path = folder / "card" / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(next((folder / "masks").rglob("*.*"))) as mask:
            Image.new("RGB", mask.size).save(path)
    labels = read_mask_folder(folder / "masks", folder / "card", "photos",
                              colours=folder / name, **options)
    write_data_root(labels, folder / "out", overwrite=True, unannotated="unlabelled")
    masks = {row.image.removeprefix("photos/"): read_mask(folder / "out" / row.mask)
             for row in read_manifest(folder / "out/manifest.csv") if row.mask}
    return masks, [name for name, _ in read_classes(folder / "out/classes.csv")]


def save(folder, picture, name="1.png", **options):
    path = folder / "masks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(path, **options)


def smooth(*shapes, width=64, height=48, background=(0, 0, 0), gamma=1.0):
    """Shapes (colour, inside(rows, columns)) drawn smoothly, later ones on top.

    Returns RGB pixels, and for each pixel the shape (from 1) that covers most of it, else 0.
    """
    rows, columns = (np.mgrid[:height * 8, :width * 8] + 0.5) / 8
    index = np.zeros(rows.shape, int)
    for place, (_, inside) in enumerate(shapes, start=1):
        index[inside(rows, columns)] = place
    colours = np.array([background, *(colour for colour, _ in shapes)])
    parts = index.reshape(height, 8, width, 8)
    shares = np.stack([(parts == place).mean(axis=(1, 3)) for place in range(len(colours))], -1)
    light = shares @ (colours / 255.0) ** gamma
    return (255 * light ** (1 / gamma)).round().astype(np.uint8), shares.argmax(axis=-1)


def disk(radius, row=24, column=32):
    return lambda rows, columns: np.hypot(rows - row, columns - column) < radius


def white_square(mode, value=255):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[4:9, 6:12] = value
    return Image.fromarray(pixels).convert(mode), pixels > 0


# ------------------------------------------------------------------------------ smooth edges


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_an_edge_never_takes_the_colour_of_a_class_that_only_stands_close_by(gap, tmp_path):
    """Half way from black to magenta lies the purple of the band, a few pixels off."""
    picture, expected = smooth(
        (MAGENTA, disk(15)), (PURPLE, lambda rows, columns: rows < 9 - gap))
    save(tmp_path, picture)
    mask = read(tmp_path, "colour,name\n255 0 255,snow\n121 0 121,stick\n")[0]["1.jpg"]
    assert not (mask[9 - gap:] == 2).any()
    assert (mask != expected).mean() < 0.01


@pytest.mark.parametrize("gamma", [1.0, 2.2], ids=["blends of numbers", "blends of light"])
def test_edges_between_two_classes_end_where_most_of_a_pixel_does(gamma, tmp_path):
    picture, expected = smooth((RED, disk(20)), (GREEN, disk(9, 24, 40)), gamma=gamma)
    save(tmp_path, picture)
    table = "colour,name\n#ff0000,fox\n#00ff00,hare\n"
    mask = read(tmp_path, table)[0]["1.jpg"]
    assert (mask != expected).mean() < 0.02
    mask = read(tmp_path, table, edges="ignore")[0]["1.jpg"]
    exact = (picture == np.array([(0, 0, 0), RED, GREEN])[:, None, None]).all(-1)
    assert np.array_equal(mask, np.select(exact, [0, 1, 2], IGNORE)) and (mask == IGNORE).sum() > 90


def test_what_is_transparent_is_background_and_its_edge_ends_half_way(tmp_path):
    shares, expected = smooth(((255, 255, 255), disk(15)))
    pixels = np.full((48, 64, 4), (*RED, 0), np.uint8)
    pixels[..., 3] = shares[..., 0]
    save(tmp_path, pixels)
    mask = read(tmp_path, "colour,name\n#ff0000,fox\n")[0]["1.jpg"]
    assert (mask != expected).mean() < 0.004
    # And it stays background where black is a class.
    pixels[:3, :3] = (0, 0, 0, 255)
    save(tmp_path, pixels)
    mask = read(tmp_path, "colour,name\n#ff0000,fox\n#000000,bear\n")[0]["1.jpg"]
    expected[:3, :3] = 2
    assert (mask != expected).mean() < 0.004


UNKNOWN = (0, 200, 90)  # on no line between two others


@pytest.mark.parametrize(("draw", "part"), [
    (lambda p: p.__setitem__((slice(20, 40), slice(20, 40)), UNKNOWN), "#00c85a fills"),
    (lambda p: p.__setitem__((slice(20, 24), slice(20, 24)), UNKNOWN), "#00c85a fills"),  # an ear
    (lambda p: p.__setitem__((slice(None), 30), UNKNOWN), "#00c85a fills"),  # a stick
    (lambda p: p.__setitem__((slice(20, 23), slice(20, 23)), (128, 0, 0)), "#800000 fills"),
    (lambda p: p.__setitem__((slice(None), slice(None, None, 4)), (128, 0, 0)), "#800000 fills"),
    (lambda p: p.__setitem__((slice(None), slice(20, 40)), (250, 0, 0)), "#fa0000 fills"),
], ids=["region", "4 x 4 pixels", "line", "blend of 3 x 3", "a quarter of all", "almost red"])
def test_classes_that_the_table_lacks_are_no_edges(draw, part, tmp_path):
    picture, _ = smooth((RED, disk(9)))
    save(tmp_path, picture)
    table = "colour,name\n#ff0000,fox\n"
    read(tmp_path, table)
    draw(picture)
    save(tmp_path, picture)
    for edges in ("nearest", "ignore"):
        with pytest.raises(InputError, match=part) as refusal:
            read(tmp_path, table, edges=edges)
        assert "1.png" in str(refusal.value)


def test_two_unknown_classes_are_both_named_but_not_their_edges(tmp_path):
    picture, _ = smooth((RED, disk(5, 10, 10)), (UNKNOWN, disk(15, 24.3, 31.8)),
                        (PURPLE, disk(8, 24.3, 31.8)))
    save(tmp_path, picture)
    with pytest.raises(InputError, match="#00c85a fills .* table; likewise #790079; give"):
        read(tmp_path, "colour,name\n#ff0000,fox\n")


def test_noise_is_no_edge(tmp_path):
    """A region of blends that are all different, such as a fade."""
    picture, _ = smooth((RED, disk(15)))
    picture[20:26, 20:26, 0] = np.arange(36).reshape(6, 6) * 7
    save(tmp_path, picture)
    with pytest.raises(InputError, match="fills a region"):
        read(tmp_path, "colour,name\n#ff0000,fox\n")


def test_a_long_straight_edge_is_no_class(tmp_path):
    """All its pixels have one colour; blended as light, it lies off the line in RGB."""
    for gamma in (1.0, 2.2):
        picture, expected = smooth((RED, lambda rows, columns: columns < 30.75),
                                   background=GREEN, gamma=gamma)
        save(tmp_path, picture)
        mask = read(tmp_path, "colour,name\n#ff0000,fox\n#00ff00,hare\n")[0]["1.jpg"]
        assert np.array_equal(mask, np.where(expected, 1, 2))


def test_an_overlay_painted_half_transparent_is_told_as_such(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[4:12, 4:12] = (*RED, 128)
    save(tmp_path, pixels)
    with pytest.raises(InputError, match="#ff0000 half transparent .* draw it opaque"):
        read(tmp_path, "colour,name\n#ff0000,fox\n")


# ------------------------------------------------------------------------ kinds of pictures


@pytest.mark.parametrize("table", ["colour,name\n#ffffff,fox\n", "value,name\n255,fox\n",
                                   "color;name\n255 255 255;fox\n",
                                   "name,value,colour\nfox,255,\nfox,,#ffffff\n"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_white_is_a_class_however_it_is_stored(mode, table, tmp_path):
    """255 would else be ignored: masks of nothing but background and ignored pixels."""
    picture, inside = white_square(mode)
    save(tmp_path, picture)
    if mode == "P" and "value" in table and "colour" not in table:
        pixels = np.array(picture)  # here the index counts
        table = f"value,name\n{pixels[5, 7]},fox\n{pixels[0, 0]},background\n"
    masks, names = read(tmp_path, table)
    assert names == ["background", "fox"]
    assert np.array_equal(masks["1.jpg"], inside)


def test_palettes_go_by_colour_where_the_table_knows_it_else_by_row(tmp_path):
    table = ("# label:color_rgb:parts:actions\n"
             "Background:0,0,0::\nhare:50,183,250::\nfox:250,50,83::\n")
    picture, inside = white_square("P", 1)
    for palette, value in (([0, 0, 0, 250, 50, 83], 2), ([7] * 6, 1), ([0] * 6, 1)):
        picture.putpalette(palette + [0] * 762)
        save(tmp_path, picture)
        masks, names = read(tmp_path, table, "labelmap.txt")
        assert names == ["background", "hare", "fox"]
        assert np.array_equal(masks["1.jpg"], inside * value)


def test_voc_palettes_need_not_name_what_is_ignored(tmp_path):
    index = np.repeat(np.array([0, 15, 255], np.uint8), 8)[None].repeat(HEIGHT, 0)
    picture = Image.fromarray(index).convert("P")
    voc = np.zeros((256, 3), np.uint8)
    voc[15], voc[255] = (192, 128, 128), (224, 224, 192)
    picture.putpalette(voc.tobytes())
    save(tmp_path, picture)
    for table in ("value,name\n15,person\n", "colour,name\n192 128 128,person\n",
                  "background:0,0,0::\nperson:192,128,128::\n"):
        masks, names = read(tmp_path, table, "labelmap.txt")
        assert names == ["background", "person"]
        assert np.array_equal(masks["1.jpg"], np.select([index == 15, index == 255], [1, IGNORE]))


def test_a_transparent_palette_entry_is_background(tmp_path):
    picture, inside = white_square("P", 1)
    picture.putpalette([255, 255, 255, *RED] + [0] * 762)
    save(tmp_path, picture, transparency=0)
    masks, _ = read(tmp_path, "colour,name\n#ff0000,fox\n#ffffff,hare\n")
    assert np.array_equal(masks["1.jpg"], inside)


@pytest.mark.parametrize(("mode", "options", "ending", "part"), [
    ("CMYK", {}, ".tif", "CMYK are not exact"), ("RGB", {"format": "JPEG"}, ".png", "a JPEG"),
    ("RGB", {"compression": "jpeg"}, ".tif", "a JPEG"),
    ("L", {"save_all": True, "append_images": [white_square("L")[0]]}, ".tif", "2 pages"),
])
def test_pictures_that_hold_no_exact_classes_are_refused(mode, options, ending, part, tmp_path):
    save(tmp_path, white_square(mode)[0], f"1{ending}", **options)
    with pytest.raises(InputError, match=part) as refusal:
        read(tmp_path, "value,name\n255,fox\n", ending=ending)
    assert str(refusal.value).count(f"1{ending}") == 1


@pytest.mark.parametrize("strange", [1.6, float("nan"), float("inf"), -1.0])
def test_float_pictures_hold_classes_only_if_whole(strange, tmp_path):
    pixels = white_square("F", 2)[1] * np.float32(2)
    save(tmp_path, pixels, "1.tif")
    table = "value,name\n2,fox\n"
    assert np.array_equal(read(tmp_path, table, ending=".tif")[0]["1.jpg"], pixels > 0)
    pixels[0, 0] = strange
    save(tmp_path, pixels, "1.tif")
    with pytest.raises(InputError, match=r"1\.tif: value"):
        read(tmp_path, table, ending=".tif")


def test_all_values_are_told_and_the_lines_that_the_table_lacks(tmp_path):
    save(tmp_path, np.repeat(np.arange(HEIGHT, dtype=np.uint8)[:, None], WIDTH, 1))
    with pytest.raises(InputError) as refusal:
        read(tmp_path, "value,name\n1,fox\n")
    assert "found 0 (24 pixels), 1 (24 pixels), 2 (24" in str(refusal.value)
    assert "a line each: 2,NAME 3,NAME" in str(refusal.value)


@pytest.mark.parametrize("table", [
    "colour,name\n² 0 0,fox\n", "value,name\n٣,fox\n", "colour,name\n256 0 0,fox\n",
    "value,colour,name\n,,fox\n", "value,name\n1\n", 'value,name\n1,"' + "x" * 200_000,
    "value,name\n123456,fox\n", "value,colour,name\n1,#000001,fox\n2,#000001,hare\n"])
def test_lines_of_the_table_that_are_wrong_are_refused_by_number(table, tmp_path):
    save(tmp_path, white_square("L")[0])
    with pytest.raises(InputError, match=r"table\.csv, line [23]: ") as refusal:
        read(tmp_path, table)
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
    save(folder, picture, f"a/1{ending}")
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
            masks, names = read(Path(name), table, **options)
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
            data = bytearray(path.read_bytes() if seed % 2 else table.encode())
            for _ in range(int(random.integers(1, 5))):
                data[int(random.integers(len(data)))] = int(random.integers(256))
            data = data[:int(random.integers(len(data) // 2, 2 * len(data)))]
            # The photo keeps the size of the sound mask.
            (folder / "card/a").mkdir(parents=True)
            Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "card/a/1.jpg")
            if seed % 2:
                path.write_bytes(data)
            else:
                table = data.decode("latin-1")
            try:
                masks, names = read(folder, table, **{**options, "photos": ()})
            except InputError as error:
                refused.append(seed)
                assert "\n" not in str(error)
                assert path.name in str(error) or options["name"] in str(error)
                assert not (folder / "out").exists()
            else:
                assert set(np.unique(masks["a/1.jpg"])) <= {*range(len(names)), IGNORE}
    check()
    assert EXAMPLES * 0.3 < len(refused) < EXAMPLES * 0.98
