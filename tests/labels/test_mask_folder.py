"""Mask pictures of every kind, random ones too: the pixels that were drawn, or one clear line."""

from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, error_line, many, seeds
from deep_pictures import deep_png
from hypothesis import given
from label_files import (
    damaged,
    faults_of,
    import_labels,
    import_masks,
    imported,
    masks_of,
    read_pictures,
    refusal,
    save_mask,
    scratch,
    write_photos,
)
from PIL import Image

from camera_trapinator import IGNORE, InputError
from camera_trapinator.data.manifest import read_manifest
from camera_trapinator.labels.mask_table import read_table

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


@pytest.mark.parametrize("table", [
    "colour,name\n255,0,0,fox\n0,0,255,hare\n",
    'colour,name\n"255,0,0",fox\n"(0, 0, 255)",hare\n',
    "name,colour\nfox,255,0,0\nhare,0,0,255\n", "colour;name\n255,0,0;fox\nrgb(0,0,255);hare\n",
    "name,r,g,b\nfox,255,0,0\nhare,0,0,255\n",
    "sep=\t\nColor\tClass\n#ff0000\tfox\n0 0 255\thare\n",
    "Red;Green;Blue;Name;\n255;0;0;fox;\n0;0;255;hare;\n;;;;\n",
    "label,color\nfox,ff0000\nhare,0x0000FF\n",
    "Class Name,R,G,B\nfox,255,0,0\nhare,0,0,255\n",
    "colour,name,remark\n#f00,fox,shy\n#0000FFff,hare,\n",
    "remark,colour,name\nshy,255,0,0,fox\n,0 0 255,hare\n",
    "name,colour\nfox,255/0/0\nhare,0/0/255\n",
    # Without a first line that names the columns.
    "255,0,0,fox\n0,0,255,hare\n", "fox;255;0;0\nhare;0;0;255\n", "#ff0000,fox\n#0000ff,hare\n",
    '"255,0,0",fox\n"0,0,255",hare\n'])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_of_colours_as_people_write_them(table, encoding, tmp_path):
    index = np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH))
    save_mask(tmp_path, np.array([(0, 0, 0), RED, (0, 0, 255)], np.uint8)[index])
    (tmp_path / "table.csv").write_text(table, encoding=encoding)
    read = read_table(tmp_path / "table.csv")
    assert read.colours == {0xFF0000: "fox", 0x0000FF: "hare"} and read.order == ["fox", "hare"]
    masks, names = read_pictures(tmp_path, table)
    assert names == ["background", "fox", "hare"] and np.array_equal(masks["1.jpg"], index)


@pytest.mark.parametrize(("table", "values"), [
    ("index,name,colour\n0,background,#000000\n1,fox,#ff0000\n2,hare,#0000ff\n", {0, 1, 2}),
    ("id,name,color\n1,fox,#ff0000\n2,hare,#0000ff\n", {1, 2}),
    ("1,fox\n2,hare\n", {1, 2}), ("fox,1\nhare,2\n", {1, 2}),
    ("1,fox,#ff0000\n2,hare,#0000ff\n", {1, 2}),
    ("class_id\tclass_name\n1\tfox\n2\thare\n", {1, 2}),
    ('{"labels": {"background": 0, "fox": 1, "hare": 2, "ignore": 3}}', {0, 1, 2, 3}),
    ('{"labels": {"0": "background", "1": "fox", "2": "hare"}}', {0, 1, 2})])
def test_tables_of_values_as_people_and_tools_write_them(table, values, tmp_path):
    index = np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH))
    save_mask(tmp_path, index.astype(np.uint8))
    masks, names = read_pictures(tmp_path, table)
    assert names == ["background", "fox", "hare"] and np.array_equal(masks["1.jpg"], index)
    assert read_table(tmp_path / "table.csv").values.keys() == values


@pytest.mark.parametrize(("content", "part"), [
    ("255,fox,hare\n", "line 1: '255,fox,hare'; a table begins with the line `value,name`"),
    ("1,2\n", "a table begins"), ("class,name,colour\n1,fox,#ff0000\n", "a table begins with"),
    ("colour,name\n#ff000080,fox\n", "line 2: colour '#ff000080' is neither"),
    ('colour,name\n#00ff00,hare\n#ff0000,"fox\n#0000ff,owl\n', "line 3: "),
    ('{"labels": {"fox": [1, 2]}}', "dataset.json of nnU-Net"), ("{", "dataset.json of nnU-Net"),
    ("colour,name\n#ff0000,f\u00f6x\n".encode("latin-1"), "not UTF-8 text; save it as CSV UTF-8"),
    ("colour,name\n#ff0000,fox\n".encode("utf-16-le"), "not UTF-8 text; save it as CSV UTF-8")])
def test_tables_that_could_mean_several_things_are_refused(content, part, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as refusal:
        read_table(path)
    assert part in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("line", ["255,0,fox", "255,0,0,0,fox", "255,0,x,fox", "255,0,256,fox"])
def test_colours_with_too_many_or_too_few_parts_are_refused(line, tmp_path):
    (tmp_path / "table.csv").write_text(f"colour,name\n{line}\n")
    with pytest.raises(InputError, match=r"table\.csv, line 2: .*(not 2 cells|neither)"):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_pictures_without_colour_are_grey(mode, tmp_path):
    index = np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH))
    picture = Image.fromarray(np.array([0, 1, 255], np.uint8)[index]).convert(mode)
    if mode == "RGBA":
        opacity = Image.new("L", picture.size, 255)
        opacity.paste(0, (0, 0, WIDTH, 4))
        picture.putalpha(opacity)
        index[:4] = 0
    save_mask(tmp_path, picture)
    masks, _ = read_pictures(tmp_path, "value,name\n1,fox\n255,hare\n")
    assert np.array_equal(masks["1.jpg"], index)
    # Black is no first row of a table of colours, but background.
    save_mask(tmp_path, np.array([0, 200], np.uint8)[index // 2][..., None].repeat(3, 2))
    masks, _ = read_pictures(tmp_path, "fox:255,0,0::\nhare:200,200,200::\n", "labelmap.txt")
    assert np.array_equal(masks["1.jpg"], index // 2 * 2)


def test_masks_of_16_bits_a_channel_hold_colours_of_8_bits_alone(tmp_path):
    index = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH))
    (tmp_path / "masks").mkdir()
    deep_png(tmp_path / "masks/1.png", np.array([(0, 0, 0), (65535, 0, 257)], np.uint16)[index])
    masks, _ = read_pictures(tmp_path, "colour,name\n#ff0001,fox\n")
    assert np.array_equal(masks["1.jpg"], index)
    deep_png(tmp_path / "masks/1.png", np.repeat(index[..., None], 3, 2).astype(np.uint16))
    with pytest.raises(InputError, match="1 of 16 bits a channel are no colours of 8 bits"):
        read_pictures(tmp_path, "value,name\n1,fox\n")  # would all be background


@pytest.mark.parametrize("table", ["value,name\n255,fox\n", "colour,name\n#ffffff,fox\n",
                                   "name,value,colour\nfox,255,\nfox,,#ffffff\n"])
def test_grey_with_alpha_is_drawn_where_it_is_opaque(table, tmp_path):
    """As Labelbox exports masks: white everywhere, and alpha says where."""
    picture, inside = white_square("L")
    alpha = inside * np.uint8(255)
    pixels = np.dstack([np.full_like(alpha, 255), alpha])
    save_mask(tmp_path, Image.fromarray(pixels))
    masks, _ = read_pictures(tmp_path, table)
    assert np.array_equal(masks["1.jpg"], inside)


def test_a_smooth_alpha_beside_a_value_is_cut_in_half_or_ignored(tmp_path):
    row = np.repeat(np.array([0, 100, 128, 254, 255, 0], np.uint8), WIDTH // 6)
    alpha = row[None].repeat(HEIGHT, 0)
    save_mask(tmp_path, Image.fromarray(np.dstack([np.full_like(alpha, 3), alpha])))
    table = "value,name\n3,fox\n"
    assert np.array_equal(read_pictures(tmp_path, table)[0]["1.jpg"], alpha >= 128)
    masks, _ = read_pictures(tmp_path, table, edges="ignore")
    assert np.array_equal(masks["1.jpg"], np.select([alpha == 0, alpha == 255], [0, 1], IGNORE))


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
        with scratch() as name:
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
        with scratch() as name:
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
            found = []
            told = faults_of(lambda: found.extend(
                read_pictures(folder, table, **{**options, "photos": ()})))
            if told:
                refused.append(seed)
                assert all(path.name in fault or options["name"] in fault for fault in told)
                assert not (folder / "out").exists()
            else:
                masks, names = found
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
    Image.new("RGB", (64, 48), (9, 0, 0)).save(tmp_path / "masks/1.png")
    assert "only values" in error_line(import_masks(tmp_path, "value,name\n1,fox\n"))
    Image.new("RGB", (64, 48)).save(tmp_path / "masks/1.png", "JPEG")
    assert "JPEG" in error_line(import_masks(tmp_path, "value,name\n1,fox\n"))
    for table, part in (("value,name\nx,fox\n", "line 2"), ("colour,name\n#ff,fox\n", "#ff"),
                        ("value,name\n1,fox\n1,hare\n", "twice"), ("", "no class"),
                        ("fox\n", "a table begins")):
        assert part in error_line(import_masks(tmp_path, table))


def test_the_semantic_masks_of_roboflow(tmp_path):
    """Masks beside the photos, class numbers as grey; its own table, blanks behind the commas."""
    export, right = tmp_path / "train", np.random.default_rng(0).integers(0, 3, (48, 64))
    write_photos(export, "1_jpg.rf.aa.jpg", "2_jpg.rf.bb.jpg")
    for name in ("1_jpg.rf.aa", "2_jpg.rf.bb"):
        Image.fromarray(right.astype(np.uint8)).save(export / f"{name}_mask.png")
    (export / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, red fox\n2, hare\n")
    command = ["masks", export, "--images", export, "--colours", export / "_classes.csv", "--out",
               tmp_path / "out"]
    line = error_line(import_labels(*command))
    assert "say --ending _mask.png" in line and "aa_mask.png" in line
    imported(*command, "--ending", "_mask.png")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "red fox", "hare"]
    assert masks.keys() == {"train/1_jpg.rf.aa.jpg", "train/2_jpg.rf.bb.jpg"}
    assert all(np.array_equal(mask, right) for mask in masks.values())
    assert {row.sequence for row in read_manifest(tmp_path / "out/manifest.csv")} == {
        "train/1_jpg.jpg", "train/2_jpg.jpg"}  # copies of one source stay together


@pytest.mark.parametrize("same_folder", [False, True])
def test_masks_with_another_ending_are_no_background(same_folder, tmp_path):
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "site/e.jpg", "f.jpg"]
    write_photos(tmp_path / "card", *names)
    picture = Image.fromarray(np.full((48, 64), 255, np.uint8))
    folder = tmp_path / ("card" if same_folder else "masks")
    (folder / "site").mkdir(parents=True, exist_ok=True)
    wrong = ["b.bmp", "c.tif", "d_mask.png", "site/E.TIF", *(["f.jpg"] if not same_folder else [])]
    for name in ["a.png", *wrong]:
        picture.save(folder / name)
    (tmp_path / "table.csv").write_text("value,name\n255,fox\n")
    command = ["masks", folder, "--images", tmp_path / "card", "--colours", tmp_path / "table.csv",
               "--out", tmp_path / "out", "--unannotated", "empty"]
    told = refusal(import_labels(*command))
    assert not (tmp_path / "out").exists()
    for name, ending in zip(wrong, (".bmp", ".tif", "_mask.png", ".TIF", ".jpg"), strict=False):
        if name == "d_mask.png":  # ends as said, and there is no photo d_mask
            assert same_folder or f"{folder / name}: its photo is not in" in told
        else:
            assert f"{folder / name}: a picture that is named like the photo" in told
            assert f"say --ending {ending} if" in told
    for name in ["a.png", *wrong]:
        (folder / name).unlink()
    picture.save(folder / "c_mask.tif")  # not one ends as said
    assert "say --ending _mask.tif" in error_line(import_labels(*command))
    imported(*command, "--ending", "_mask.tif")
    assert masks_of(tmp_path / "out")[0]["card/c.jpg"].all()


def test_copies_of_photos_beside_the_masks_are_no_masks(tmp_path):
    write_photos(tmp_path / "card", "a.jpg", "b.jpg")
    write_photos(tmp_path / "masks", "a.jpg", "b.jpg")
    save_mask(tmp_path, Image.new("L", (64, 48), 255), "a.png")
    result = import_masks(tmp_path, "value,name\n255,fox\n", "--unannotated", "empty")
    assert result.returncode == 0, result.stderr
    assert masks_of(tmp_path / "out")[0]["card/b.jpg"] == "background"


@pytest.mark.parametrize("orientation", [2, 3, 4, 6])
def test_masks_that_fit_a_turned_photo_both_ways_are_told(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = (48, 48) if orientation == 6 else (64, 48)
    write_photos(tmp_path / "card", "a.jpg", size=size, exif=exif)
    save_mask(tmp_path, Image.new("L", size, 255), "a.png")
    result = import_masks(tmp_path, "value,name\n255,fox\n")
    assert result.returncode == 0, result.stderr
    assert "1 photos are turned by their EXIF" in result.stdout and "a.jpg" in result.stdout


def test_the_names_of_nnunet(tmp_path):
    """imagesTr/x_0000.png belongs to labelsTr/x.png; x_0001.png is heat, and no photo."""
    right = np.random.default_rng(0).integers(0, 2, (48, 64))
    write_photos(tmp_path / "imagesTr", "cam_001_0000.png", "cam_001_0001.png", "cam_002_0000.png",
                 "IMG_0000.png", "IMG_0001.png")
    for name in ("cam_001", "cam_002", "IMG_0000", "IMG_0001"):  # the last two as they always were
        save_mask(tmp_path, right.astype(np.uint8), f"{name}.png")
    (tmp_path / "table.csv").write_text("value,name\n1,fox\n")
    told = imported("masks", tmp_path / "masks", "--images", tmp_path / "imagesTr", "--colours",
                    tmp_path / "table.csv", "--out", tmp_path / "out")
    assert "left out: 1 further channels of nnU-Net" in told and "cam_001_0001.png" in told
    masks, _ = masks_of(tmp_path / "out")
    assert masks.keys() == {f"imagesTr/{name}.png" for name in (
        "cam_001_0000", "cam_002_0000", "IMG_0000", "IMG_0001")}
    assert all(np.array_equal(mask, right) for mask in masks.values())


@pytest.mark.parametrize("kind", ["colour", "value"])
def test_what_the_table_lacks_is_told_of_all_masks_at_once(kind, tmp_path):
    names = [f"{number}.jpg" for number in range(9)]
    write_photos(tmp_path / "card", *names)
    for number in range(9):
        index = np.zeros((48, 64), np.uint8)
        index[5:15, 5:15] = 1
        if number not in (0, 4):  # two masks are sound
            index[20 + number:30 + number, 7:27] = 2
        if number == 8:
            index[2:4, 40:60] = 3
        save_mask(tmp_path, index if kind == "value" else np.array(
            [(0, 0, 0), RED, (0, 200, 0), (9, 9, 250)], np.uint8)[index], f"{number}.png")
    table = "value,name\n1,fox\n" if kind == "value" else "colour,name\n255,0,0,fox\n"
    second, third = ("value 2", "value 3") if kind == "value" else ("#00c800", "#0909fa")
    result = import_masks(tmp_path, table)
    assert result.returncode == 2 and not (tmp_path / "out").exists()
    whole, = [line for line in result.stdout.splitlines() if "In all 9 masks: " in line]
    assert whole.startswith(f"fault       {tmp_path / 'masks/1.png'}: ")
    assert (f"{second} in 7 of them, 1400 pixels (1.png 200 pixels from row 21, column 7 on; "
            "2.png 200 pixels from row 22, column 7 on; ") in whole
    assert "; and 2 more)" in whole
    assert f"{third} in 1 of them, 40 pixels (8.png 40 pixels from row 2, column 40 on)" in whole
    assert "7 faults" in result.stderr


def test_a_file_where_a_folder_is_wanted_and_the_reverse(tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    save_mask(tmp_path, white_square("L")[0])
    (tmp_path / "table.csv").write_text("value,name\n255,fox\n")
    for masks, table, part in (
            (tmp_path / "masks/1.png", tmp_path / "table.csv", f"give {tmp_path / 'masks'}"),
            (tmp_path / "masks", tmp_path, "a folder; give the table's file"),
            (tmp_path / "masks", tmp_path / "none.csv", "`colour,name`, `#ff0000,fox`")):
        assert part in error_line(import_labels(
            "masks", masks, "--images", tmp_path / "card", "--colours", table, "--out",
            tmp_path / "out"))
