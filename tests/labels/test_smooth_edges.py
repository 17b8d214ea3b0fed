"""Smooth edges between colours: they end where most of a pixel does, and are never a class."""

import numpy as np
import pytest
from conftest import error_line
from label_files import LABELS, import_masks, masks_of, read_pictures, real, save_mask, write_photos
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.labels.mask_folder import read_mask_folder
from camera_trapinator.labels.source import Source

WIDTH, HEIGHT = 64, 48
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
RED, GREEN, MAGENTA = (255, 0, 0), (0, 255, 0), (255, 0, 255)
PURPLE = (121, 0, 121)  # a little less than half magenta; no edge here has it exactly


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


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_an_edge_never_takes_the_colour_of_a_class_that_only_stands_close_by(gap, tmp_path):
    """Half way from black to magenta lies the purple of the band, a few pixels off."""
    picture, expected = smooth(
        (MAGENTA, disk(15)), (PURPLE, lambda rows, columns: rows < 9 - gap))
    save_mask(tmp_path, picture)
    mask = read_pictures(tmp_path, "colour,name\n255 0 255,snow\n121 0 121,stick\n")[0]["1.jpg"]
    assert not (mask[9 - gap:] == 2).any()
    assert (mask != expected).mean() < 0.01


@pytest.mark.parametrize("gamma", [1.0, 2.2], ids=["blends of numbers", "blends of light"])
def test_edges_between_two_classes_end_where_most_of_a_pixel_does(gamma, tmp_path):
    picture, expected = smooth((RED, disk(20)), (GREEN, disk(9, 24, 40)), gamma=gamma)
    save_mask(tmp_path, picture)
    table = "colour,name\n#ff0000,fox\n#00ff00,hare\n"
    mask = read_pictures(tmp_path, table)[0]["1.jpg"]
    assert (mask != expected).mean() < 0.02
    mask = read_pictures(tmp_path, table, edges="ignore")[0]["1.jpg"]
    exact = (picture == np.array([(0, 0, 0), RED, GREEN])[:, None, None]).all(-1)
    assert np.array_equal(mask, np.select(exact, [0, 1, 2], IGNORE)) and (mask == IGNORE).sum() > 90


def test_what_is_transparent_is_background_and_its_edge_ends_half_way(tmp_path):
    shares, expected = smooth(((255, 255, 255), disk(15)))
    pixels = np.full((48, 64, 4), (*RED, 0), np.uint8)
    pixels[..., 3] = shares[..., 0]
    save_mask(tmp_path, pixels)
    mask = read_pictures(tmp_path, "colour,name\n#ff0000,fox\n")[0]["1.jpg"]
    assert (mask != expected).mean() < 0.004
    # And it stays background where black is a class.
    pixels[:3, :3] = (0, 0, 0, 255)
    save_mask(tmp_path, pixels)
    mask = read_pictures(tmp_path, "colour,name\n#ff0000,fox\n#000000,bear\n")[0]["1.jpg"]
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
    save_mask(tmp_path, picture)
    table = "colour,name\n#ff0000,fox\n"
    read_pictures(tmp_path, table)
    draw(picture)
    save_mask(tmp_path, picture)
    for edges in ("nearest", "ignore"):
        with pytest.raises(InputError, match=part) as refusal:
            read_pictures(tmp_path, table, edges=edges)
        assert "1.png" in str(refusal.value)


def test_two_unknown_classes_are_both_named_but_not_their_edges(tmp_path):
    picture, _ = smooth((RED, disk(5, 10, 10)), (UNKNOWN, disk(15, 24.3, 31.8)),
                        (PURPLE, disk(8, 24.3, 31.8)))
    save_mask(tmp_path, picture)
    with pytest.raises(InputError, match="#00c85a fills .* table; likewise #790079 .*; give"):
        read_pictures(tmp_path, "colour,name\n#ff0000,fox\n")


def test_noise_is_no_edge(tmp_path):
    """A region of blends that are all different, such as a fade."""
    picture, _ = smooth((RED, disk(15)))
    picture[20:26, 20:26, 0] = np.arange(36).reshape(6, 6) * 7
    save_mask(tmp_path, picture)
    with pytest.raises(InputError, match="fills a region"):
        read_pictures(tmp_path, "colour,name\n#ff0000,fox\n")


def test_a_long_straight_edge_is_no_class(tmp_path):
    """All its pixels have one colour; blended as light, it lies off the line in RGB."""
    for gamma in (1.0, 2.2):
        picture, expected = smooth((RED, lambda rows, columns: columns < 30.75),
                                   background=GREEN, gamma=gamma)
        save_mask(tmp_path, picture)
        mask = read_pictures(tmp_path, "colour,name\n#ff0000,fox\n#00ff00,hare\n")[0]["1.jpg"]
        assert np.array_equal(mask, np.where(expected, 1, 2))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_masks_of_values_have_smooth_edges_too(mode, tmp_path):
    picture, expected = smooth(((255, 255, 255), disk(15)))
    save_mask(tmp_path, Image.fromarray(picture).convert(mode))
    masks, _ = read_pictures(tmp_path, "value,name\n255,fox\n")
    assert (masks["1.jpg"] != expected).mean() < 0.01 and masks["1.jpg"].max() == 1
    masks, _ = read_pictures(tmp_path, "value,name\n255,fox\n", edges="ignore")
    grey = picture[..., 0]
    assert np.array_equal(masks["1.jpg"], np.select([grey == 0, grey == 255], [0, 1], IGNORE))


@pytest.mark.parametrize("case", ["a region", "a thin line", "class numbers", "next to none"])
def test_values_that_may_be_classes_are_never_edges(case, tmp_path):
    pixels = smooth(((255, 255, 255), disk(15)))[0][..., 0].copy()
    table, value = "value,name\n255,fox\n", 100
    if case == "a region":
        pixels[2:7, 2:7] = value
    elif case == "a thin line":
        pixels = np.where(pixels > 127, np.uint8(255), np.uint8(0))
        pixels[:, 20] = value
    elif case == "class numbers":
        table, value, pixels = "value,name\n1,fox\n5,hare\n", 3, pixels // 51
    else:  # no pixel has the value above
        table, value, pixels = "value,name\n254,fox\n", int(pixels[pixels > 0].min()), pixels // 2
        value = int(np.unique(pixels)[1])
    save_mask(tmp_path, pixels)
    with pytest.raises(InputError, match="is not in the table") as refusal:
        read_pictures(tmp_path, table)
    assert f"{value},NAME" in str(refusal.value) and "anti-aliasing" in str(refusal.value)


def test_an_overlay_painted_half_transparent_is_told_as_such(tmp_path):
    pixels = np.zeros((16, 24, 4), np.uint8)
    pixels[4:12, 4:12] = (*RED, 128)
    save_mask(tmp_path, pixels)
    with pytest.raises(InputError, match="#ff0000 half transparent .* draw it opaque"):
        read_pictures(tmp_path, "colour,name\n#ff0000,fox\n")


def smooth_disk(colour):
    """A disk drawn at 8 times the size and reduced, and where its exact mask is."""
    big = np.zeros((HEIGHT * 8, WIDTH * 8, 3), np.uint8)
    rows, columns = np.mgrid[:HEIGHT * 8, :WIDTH * 8] / 8
    big[np.hypot(rows - 24, columns - 32) < 15] = colour
    picture = Image.fromarray(big).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.array(picture), np.hypot(ROWS + 0.5 - 24, COLUMNS + 0.5 - 32) < 15


def test_smooth_edges_never_become_a_third_class(tmp_path):
    """Between black and magenta lies purple, and purple is a class of its own here."""
    picture, disk = smooth_disk((255, 0, 255))
    picture[:4] = (120, 0, 120)
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "masks").mkdir()
    Image.fromarray(picture).save(tmp_path / "masks/1.png")
    table = "colour,name\n255 0 255,snow\n120 0 120,stick\n"
    assert import_masks(tmp_path, table).returncode == 0
    mask = masks_of(tmp_path / "out")[0]["card/1.jpg"]
    expected = disk * 1
    expected[:4] = 2
    assert (mask != expected).mean() < 0.005 and not (mask[4:] == 2).any()
    assert import_masks(tmp_path, table, "--edges", "ignore").returncode == 0
    ignored = masks_of(tmp_path / "out")[0]["card/1.jpg"]
    edge = ~np.isin(picture.sum(axis=2), (0, 510, 240))
    assert np.array_equal(ignored == IGNORE, edge) and edge.sum() > 50
    assert "colour #780078 fills a region" in error_line(
        import_masks(tmp_path, "colour,name\n#ff00ff,snow\n"))


@real
def test_colour_coded_masks_of_a_real_camera(tmp_path):
    folder = LABELS / "colour_coded"
    (tmp_path / "table.csv").write_text("colour,name\n255 0 0,object\n255 0 14,object\n"
                                        "0 255 0,stick\n128 255 0,stick\n255 0 255,snow\n")
    labels = read_mask_folder(Source(folder, folder, "p"), colours=tmp_path / "table.csv")
    assert [photo.source.suffix for photo in labels.photos] == [".jpg"] * 3
    assert labels.classes == ["object", "stick", "snow"]
    for photo in labels.photos:
        with Image.open(photo.source.with_suffix(".png")) as picture:
            pixels = np.array(picture).astype(int)
        shapes = {shape.name: shape.inside for shape in photo.picture()}
        sure = pixels[..., 3] == 255
        red, green = pixels[..., 0] == 255, pixels[..., 1] == 255
        assert (shapes["object"][sure & red & ~green]).all()
        assert (shapes["stick"][sure & green & ~red]).all()
        drawn = sum(inside.sum() for inside in shapes.values())
        assert abs(drawn / (pixels[..., 3] / 255).sum() - 1) < 0.01
    (tmp_path / "table.csv").write_text("colour,name\n255 0 0,object\n0 255 0,stick\n")
    with pytest.raises(InputError, match="#80ff00 fills a region"):
        read_mask_folder(Source(folder, folder, "p"),
                         colours=tmp_path / "table.csv").photos[0].picture()
