"""Photos come out upright, RGB and at the working scale, or are refused in one line."""

import struct

import numpy as np
import pytest
from deep_pictures import deep_png, deep_tiff
from PIL import Image, ImageOps

from camera_trapinator import InputError
from camera_trapinator.data.masks import read_mask
from camera_trapinator.data.photos import (
    is_infrared,
    parse_datetime,
    photo_size,
    read_datetime,
    read_photo,
    same_aspect,
    scaled_size,
)

ORIENTATION, DATETIME, EXIF_IFD, ORIGINAL, DIGITIZED = 0x0112, 306, 0x8769, 36867, 36868


def smooth_photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A photo without symmetry, smooth as real ones are."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def save_with_exif(path, image=None, base=None, sub=None):
    """Save a photo with tags in the EXIF's base directory and in its sub-directory."""
    exif = Image.Exif()
    exif.update(base or {})
    exif.get_ifd(EXIF_IFD).update(sub or {})
    (image or smooth_photo(24, 16)).save(path, exif=exif, quality=95)
    return path


# -------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_exif_transpose(tmp_path, orientation, suffix):
    path = save_with_exif(tmp_path / f"photo.{suffix}", smooth_photo(37, 20),
                          {ORIENTATION: orientation})
    with Image.open(path) as image:
        assert image.getexif()[ORIENTATION] == orientation
        upright = np.asarray(ImageOps.exif_transpose(image))
    photo = read_photo(path)
    assert np.array_equal(photo.image, upright)
    assert (photo.height, photo.width) == upright.shape[:2]
    assert photo_size(path) == (photo.width, photo.height)


def test_orientations_differ_from_each_other(tmp_path):
    images = [read_photo(save_with_exif(tmp_path / f"{n}.png", smooth_photo(20, 20),
                                        {ORIENTATION: n})).image.tobytes() for n in range(1, 9)]
    assert len(set(images)) == 8


@pytest.mark.parametrize("orientation", [0, 9, 35, "6", "abc"])
def test_broken_orientations_count_as_upright(tmp_path, orientation):
    if isinstance(orientation, str):  # type 2 is text, where type 3, a 16-bit number, belongs
        tag = struct.pack("<HHI4s", ORIENTATION, 2, len(orientation), orientation.encode())
    else:
        tag = struct.pack("<HHIHH", ORIENTATION, 3, 1, orientation, 0)
    path = tmp_path / "photo.png"
    smooth_photo(37, 20).save(path, exif=b"II*\0\x08\0\0\0\x01\0" + tag + b"\0" * 4)
    with Image.open(path) as image:
        assert image.getexif()[ORIENTATION] == orientation
    assert np.array_equal(read_photo(path).image, np.asarray(smooth_photo(37, 20)))
    assert photo_size(path) == (37, 20)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_scaled_and_turned(tmp_path, orientation):
    """Scaling and turning together: the same picture as turning the full photo and reducing it."""
    path = save_with_exif(tmp_path / "photo.jpg", smooth_photo(401, 300),
                          {ORIENTATION: orientation})
    photo = read_photo(path, 50)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    height, width = photo.image.shape[:2]
    assert (width, height) == scaled_size(*upright.size, 50)
    oracle = np.asarray(upright.resize((width, height), Image.Resampling.BOX))
    assert np.abs(photo.image.astype(float) - oracle).mean() < 2
    assert (photo.width, photo.height) == upright.size == photo_size(path)


# -------------------------------------------------------------------------------- colour modes


def picture_of(mode: str) -> Image.Image:
    """An image of one colour in the given mode: (200, 100, 40), or grey 150."""
    if mode == "P":
        image = Image.new("P", (8, 6), 3)
        image.putpalette([0, 0, 0] * 3 + [200, 100, 40])
        return image
    if mode in ("I;16", "I;16B"):
        kind = ">u2" if mode.endswith("B") else "<u2"
        return Image.fromarray(np.full((6, 8), 150 * 257, kind))
    colours = {"1": 1, "L": 150, "LA": (150, 90), "RGBA": (200, 100, 40, 90),
               "RGB": (200, 100, 40), "CMYK": (55, 155, 215, 0), "I": 150 * 257, "F": 150.0,
               "YCbCr": (123, 81, 183)}
    return Image.new(mode, (8, 6), colours[mode])


@pytest.mark.parametrize(("mode", "suffix", "colour", "options"), [
    ("RGB", "jpg", (200, 100, 40), {"quality": 95}),
    ("RGB", "png", (200, 100, 40), {}),
    ("RGB", "tif", (200, 100, 40), {"compression": "tiff_lzw"}),
    ("L", "jpg", (150, 150, 150), {}),
    ("L", "png", (150, 150, 150), {}),
    ("LA", "png", (150, 150, 150), {}),
    ("1", "png", (255, 255, 255), {}),
    ("P", "png", (200, 100, 40), {}),
    ("P", "png", (200, 100, 40), {"transparency": 3}),
    ("P", "png", (200, 100, 40), {"transparency": bytes([255, 255, 255, 40])}),
    ("RGBA", "png", (200, 100, 40), {}),
    ("CMYK", "jpg", (200, 100, 40), {"quality": 95}),
    ("CMYK", "tif", (200, 100, 40), {}),
    ("YCbCr", "jpg", (200, 100, 40), {"quality": 95}),
    ("YCbCr", "tif", (200, 100, 40), {}),
    ("I;16", "png", (150, 150, 150), {}),
    ("I;16", "tif", (150, 150, 150), {}),
    ("I;16B", "tif", (150, 150, 150), {}),
    ("I", "tif", (150, 150, 150), {}),
    ("F", "tif", (150, 150, 150), {}),
])
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_every_colour_mode_becomes_rgb(tmp_path, mode, suffix, colour, options):
    path = tmp_path / f"photo.{suffix}"
    picture_of(mode).save(path, **options)
    for working_scale in (0, 4):
        image = read_photo(path, working_scale).image
        assert image.dtype == np.uint8
        assert image.shape == ((3, 4, 3) if working_scale else (6, 8, 3))
        assert np.abs(image.astype(int) - colour).max() <= 3


def test_16_bit_photos_keep_their_shades(tmp_path):
    """Not clipped at 255, which would turn them white, nor stretched to their own brightest."""
    ramp = np.linspace(0, 40000, 256).astype(np.uint16)[None].repeat(4, axis=0)
    for name in ("photo.png", "photo.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        assert np.array_equal(read_photo(tmp_path / name).image[0, :, 0], np.round(ramp[0] / 257))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_fewer_bits_stored_in_16_keep_their_shades(tmp_path, bits, suffix):
    """The same picture, whatever the camera's depth; a plain / 257 makes 12 bits black."""
    right = smooth_photo(24, 16).convert("L")
    deep = np.round(np.asarray(right) / 255 * (2**bits - 1)).astype(np.uint16)
    deep[0, 0] = 2**bits - 1  # a light somewhere
    Image.fromarray(deep).save(tmp_path / f"photo.{suffix}")
    got = read_photo(tmp_path / f"photo.{suffix}").image[..., 0].astype(int)
    assert np.abs(got - np.asarray(right))[1:].max() <= 1 and got[0, 0] == 255


def test_a_dark_photo_of_12_bits_stays_dark_where_the_file_tells_its_depth(tmp_path):
    """A TIFF of 12 bits a pixel, two in three bytes, as the TIFF standard packs them."""
    values = np.random.default_rng(0).integers(0, 500, (6, 8))  # 10 bits would hold them
    first, second = values[:, ::2], values[:, 1::2]
    data = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 2)
    entries = [(256, 8), (257, 6), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 6),
               (279, data.size)]
    file = b"II*\0" + struct.pack("<I", 8 + data.size) + data.astype(np.uint8).tobytes()
    file += struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    (tmp_path / "photo.tif").write_bytes(file)
    assert np.abs(read_photo(tmp_path / "photo.tif").image[..., 0]
                  - values * 255 / 4095).max() <= 0.51


@pytest.mark.parametrize("white", [1, 255, 4095, 65535])
def test_floats_are_shares_of_white_or_numbers_of_some_bits(tmp_path, white):
    right = np.asarray(smooth_photo(24, 16).convert("L")).astype(np.float32)
    right[0, 0], right[0, 1] = 255, 0
    stored = right / 255 * white
    stored[0, 1] = np.nan
    Image.fromarray(stored).save(tmp_path / "photo.tif")
    for working_scale in (0, 12):
        got = read_photo(tmp_path / "photo.tif", working_scale).image[..., 0]
        oracle = Image.fromarray(right.round().astype(np.uint8))
        if working_scale:
            oracle = oracle.resize((12, 8), Image.Resampling.BILINEAR)
        assert np.abs(got.astype(int) - np.asarray(oracle)).max() <= 1


@pytest.mark.parametrize("stored", [[0.0, 2.0, 0.5, 1.5], [0.0, 1.9, 0.5, 1.5], [0.0, 12.5, 3, 4]])
def test_floats_that_are_neither_shares_nor_numbers_are_refused(tmp_path, stored):
    """As numbers to 255 they would be black, as shares of 1 nearly white."""
    Image.fromarray(np.array([stored], np.float32)).save(tmp_path / "photo.tif")
    with pytest.raises(InputError, match="floats up to .* convert it to 8 bits"):
        read_photo(tmp_path / "photo.tif")
    Image.fromarray(np.array([[0, 3, 12]], np.float32)).save(tmp_path / "photo.tif")  # a dark one
    assert read_photo(tmp_path / "photo.tif").image[0, :, 0].tolist() == [0, 3, 12]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["png", "<", ">", "packed <", "packed >"])
@pytest.mark.parametrize("channels", [3, 4])
def test_fewer_bits_stored_in_16_keep_their_colours(tmp_path, bits, kind, channels):
    """The upper 8 bits, which Pillow gives, make a photo of 12 bits black."""
    right = np.asarray(smooth_photo(24, 16)).copy()
    right[0, 0, 0] = 255  # a light somewhere
    deep = np.round(right / 255 * (2**bits - 1)).astype(np.uint16)
    if channels == 4:
        deep = np.dstack([deep, np.full((16, 24), 65535, np.uint16)])
    path = tmp_path / f"photo.{'png' if kind == 'png' else 'tif'}"
    if kind == "png":
        deep_png(path, deep)
    else:
        deep_tiff(path, deep, kind[-1], "packed" in kind, turn=3)
        right = right[::-1, ::-1]
    assert np.abs(read_photo(path).image.astype(int) - right).max() <= 1
    small = np.asarray(Image.fromarray(right).resize((12, 8), Image.Resampling.BILINEAR))
    assert np.abs(read_photo(path, 12).image.astype(int) - small).max() <= 2


@pytest.mark.parametrize("kind", ["planes", "grey and alpha", "floats", "32 bits"])
def test_deep_pictures_that_pillow_gives_wrong_are_refused_by_name(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, 4096, (6, 8, 3)).astype(np.uint16)
    path = tmp_path / "photo.tif"
    if kind == "planes":
        deep_tiff(path, values, planes=True)
    elif kind == "grey and alpha":
        path = tmp_path / "photo.png"
        deep_png(path, values[..., :2])
    else:
        deep_tiff(path, values.astype(np.float32 if kind == "floats" else np.uint32),
                  floats=kind == "floats")
    with pytest.raises(InputError, match="bits a channel.* convert it to 8 bits"):
        read_photo(path)


def test_first_page_of_several_counts(tmp_path):
    pages = [Image.new("RGB", (8, 6), colour) for colour in ((10, 20, 30), (90, 90, 90))]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert (read_photo(tmp_path / "pages.tif").image == (10, 20, 30)).all()


# ------------------------------------------------------------------------------------- scaling


@pytest.mark.parametrize(("size", "working_scale", "expected"), [
    ((4000, 3000), 640, (640, 480)), ((3000, 4000), 640, (480, 640)),
    ((4000, 3000), 0, (4000, 3000)), ((1281, 961), 640, (640, 480)),
    ((101, 33), 640, (640, 209)), ((33, 101), 640, (209, 640)),  # up: 33 * 640 / 101 = 209.1
    ((777, 555), 640, (640, 457)), ((640, 480), 640, (640, 480)), ((5000, 1), 100, (100, 1)),
])
def test_one_factor_for_width_and_height(tmp_path, size, working_scale, expected):
    assert scaled_size(*size, working_scale) == expected
    for name in ("photo.jpg", "photo.png"):
        Image.new("RGB", size, (90, 120, 150)).save(tmp_path / name)
        photo = read_photo(tmp_path / name, working_scale)
        assert photo.image.shape == (expected[1], expected[0], 3)
        assert (photo.width, photo.height) == size


def test_scaled_size_keeps_the_aspect_ratio():
    random = np.random.default_rng(0)
    for _ in range(2000):
        width, height, working_scale = (int(side) for side in random.integers(50, 6000, 3))
        new_width, new_height = scaled_size(width, height, working_scale)
        assert max(new_width, new_height) == working_scale
        assert abs(new_width - width * working_scale / max(width, height)) <= 0.5
        assert abs(new_height - height * working_scale / max(width, height)) <= 0.5


@pytest.mark.parametrize("size", [(4032, 3024), (3023, 4031)])
def test_reduced_decode_is_close_to_the_full_one(tmp_path, size):
    """A 12-megapixel JPEG with fine detail: like decoding it in full and reducing it."""
    random = np.random.default_rng(1)
    small = random.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BILINEAR)
    image.save(tmp_path / "large.jpg", quality=90)
    with Image.open(tmp_path / "large.jpg") as file:
        full = file.convert("RGB")
    target = scaled_size(*size, 640)
    assert target in ((640, 480), (480, 640))
    oracle = np.asarray(full.resize(target, Image.Resampling.BILINEAR)).astype(float)
    photo = read_photo(tmp_path / "large.jpg", 640)
    assert photo.image.shape == oracle.shape
    assert np.abs(photo.image - oracle).mean() < 3  # of 256; unfiltered reduction is far off
    unfiltered = np.asarray(full.resize(target, Image.Resampling.NEAREST))
    assert np.abs(unfiltered - oracle).mean() > 9


def test_large_jpeg_is_not_decoded_in_full(tmp_path, monkeypatch):
    """The reason for the reduced decode is speed: what is scaled was never there in full size."""
    smooth_photo(1600, 1200).save(tmp_path / "large.jpg")
    sizes = []
    resize = Image.Image.resize

    def remember(image, *arguments, **options):
        sizes.append(image.size)
        return resize(image, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", remember)
    read_photo(tmp_path / "large.jpg", 160)
    assert sizes[0] == (200, 150)


def test_reduced_decode_shifts_nothing(tmp_path):
    """1281 pixels are decoded to 640.5 of them, stored as 641: that half must not stretch."""
    waves = 128 + 100 * np.sin(np.arange(1281) / 5)[None, :, None] * np.ones((961, 1, 3))
    Image.fromarray(waves.astype(np.uint8)).save(tmp_path / "waves.jpg", quality=95)
    with Image.open(tmp_path / "waves.jpg") as file:
        oracle = np.asarray(file.resize((640, 480), Image.Resampling.BILINEAR)).astype(float)
    difference = np.abs(read_photo(tmp_path / "waves.jpg", 640).image - oracle)
    assert difference[:, -100:].mean() < difference[:, :100].mean() + 1


# ---------------------------------------------------------------------------- unreadable files


def unreadable(tmp_path, kind):
    path = tmp_path / f"{kind}.jpg"
    if kind == "text":
        path.write_text("this is no photo\nat all\n" * 20)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "truncated":
        smooth_photo(300, 200).save(path, quality=95)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "truncated png":
        smooth_photo(300, 200).convert("L").save(path, format="PNG")
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "broken png":
        noise = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
        Image.fromarray(noise).save(path, format="PNG")
        parts = path.read_bytes().split(b"IDAT")
        path.write_bytes(b"IDAT".join(parts[:2]) + b"\0\xff\0\0" + b"IDAT".join(parts[2:]))
    return path


REASONS = {"text": "not a picture", "empty": "not a picture", "folder": "a folder",
           "truncated": "truncated", "truncated png": "truncated", "broken png": "broken PNG",
           "missing": "no such file"}


@pytest.mark.parametrize("kind", REASONS)
def test_unreadable_photos_and_masks_give_path_and_reason_in_one_line(tmp_path, kind):
    path = unreadable(tmp_path, kind)
    readers = [read_photo]
    if kind in ("text", "empty", "folder", "missing"):  # the others have whole headers
        readers.append(photo_size)
    if kind != "truncated":  # a JPEG is refused as a mask in any case
        readers.append(read_mask)
    for reader in readers:
        with pytest.raises(InputError) as refusal:
            reader(path)
        message = str(refusal.value)
        assert message.startswith(f"{path}: ") and message.count(str(path)) == 1
        assert REASONS[kind] in message.removeprefix(str(path))
        assert "\n" not in message
    assert read_datetime(path) == ""


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_bytes_never_raise_anything_but_input_errors(tmp_path):
    """One damaged photo in a million must not stop a night of prediction."""
    random = np.random.default_rng(0)
    originals = []
    for name in ("photo.jpg", "photo.png"):
        save_with_exif(tmp_path / name, base={ORIENTATION: 6, DATETIME: "2020:01:01 00:00:00"},
                       sub={ORIGINAL: "2021:01:01 00:00:00"})
        originals.append((tmp_path / name, (tmp_path / name).read_bytes()))
    refused = 0
    for path, original in originals * 150:
        damaged = bytearray(original)
        for place in random.integers(0, min(len(damaged), 400), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged[:random.integers(len(damaged) // 2, 2 * len(damaged))])
        read_datetime(path)
        for reader in (read_photo, photo_size, read_mask):
            try:
                reader(path)
            except InputError as error:
                refused += 1
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    assert 150 < refused < 900


# ------------------------------------------------------------------------------------ datetime


@pytest.mark.parametrize(("text", "expected"), [
    ("2023:07:04 05:06:07", "2023-07-04 05:06:07"),
    ("2023-07-04 05:06:07", "2023-07-04 05:06:07"),
    ("2023/07/04 05:06:07", "2023-07-04 05:06:07"),
    ("2023-07-04T05:06:07", "2023-07-04 05:06:07"),
    ("2023:07:04 05:06:07\0", "2023-07-04 05:06:07"),
    ("\0 2023:07:04 05:06:07 \0\0", "2023-07-04 05:06:07"),
    ("2023:07:04 05:06:07.123", "2023-07-04 05:06:07"),
    ("2023:07:04 05:06:07+02:00", "2023-07-04 05:06:07"),
    ("2023-07-04T05:06:07.5Z", "2023-07-04 05:06:07"),
    ("2001:01:01 00:00:00", "2001-01-01 00:00:00"),
    ("2024:02:29 23:59:59", "2024-02-29 23:59:59"),
    ("2023:07:04 05:06:07 PM", "2023-07-04 17:06:07"),
    ("2023:07:04 5:06:07 pm\0", "2023-07-04 17:06:07"),
    ("2023:07:04 12:06:07 AM", "2023-07-04 00:06:07"),
    ("2023:07:04 12:06:07 p.m.", "2023-07-04 12:06:07"),
    ("2023:07:04 11:06:07 AM", "2023-07-04 11:06:07"),
    ("2023:07:04 17:06:07 PM", "2023-07-04 17:06:07"),
    ("2023:07:04 17:06:07 AM", ""), ("2023:07:04 00:06:07 PM", ""),
    ("2023-07-04 05:06", "2023-07-04 05:06:00"), ("2023/07/04 05:06 PM", "2023-07-04 17:06:00"),
    ("2023:07:04  5:06:07 PM", "2023-07-04 17:06:07"),
    ("2023-07-04 5:06:07", "2023-07-04 05:06:07"),
    ("2023:07:04 05:06:07 CEST", "2023-07-04 05:06:07"),
    ("2023:07:04 05:06:07 UTC+2", "2023-07-04 05:06:07"),
    ("04-Jul-2023 05:06:07", "2023-07-04 05:06:07"), ("4 dec 2023 5:06 PM", "2023-12-04 17:06:00"),
    ("04-Mai-2023 05:06:07", ""), ("31-Feb-2023 05:06:07", ""),
    # The afternoon of other languages: five in the morning would be wrong.
    ("2023:07:04 05:06:07 \u4e0b\u5348", ""), ("2023:07:04 05:06:07\u03bc\u03bc", ""),
    ("2023:07:04 05:06:07 nachm.", ""), ("2023:07:04 05:06:07 PTG", ""),
    ("2023:07:04 5:06:07", ""), ("2023:07:04  5:06:07", ""), ("2023:07:04 05:06:", ""),
    ("2023:07:04 05:06:7", ""),
    ("04.07.2023 05:06:07", ""), ("07/04/2023 05:06:07 PM", ""),
    ("2000:12:31 23:59:59", ""), ("1970:01:01 00:00:00", ""), ("0000:00:00 00:00:00", ""),
    ("2023:13:01 00:00:00", ""), ("2023:00:01 00:00:00", ""), ("2023:01:00 00:00:00", ""),
    ("2023:02:30 00:00:00", ""), ("2023:02:29 00:00:00", ""), ("2023:01:01 24:00:00", ""),
    ("2023:01:01 00:60:00", ""), ("2023:01:01 00:00:60", ""),
    ("    :  :     :  :  ", ""), ("2023:07:04", ""), ("", ""), ("\0" * 20, ""), ("junk", ""),
])
def test_parse_datetime(text, expected):
    assert parse_datetime(text) == expected


@pytest.mark.parametrize(("base", "sub", "expected"), [
    ({DATETIME: "2023:01:01 00:00:01"},
     {ORIGINAL: "2023:01:01 00:00:03", DIGITIZED: "2023:01:01 00:00:02"}, "2023-01-01 00:00:03"),
    ({DATETIME: "2023:01:01 00:00:01"}, {DIGITIZED: "2023:01:01 00:00:02"}, "2023-01-01 00:00:02"),
    ({DATETIME: "2023:01:01 00:00:01"}, {}, "2023-01-01 00:00:01"),
    ({DATETIME: "2023:01:01 00:00:01"},
     {ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: "1999:01:01 00:00:00"}, "2023-01-01 00:00:01"),
    ({DATETIME: "junk"}, {ORIGINAL: "\0" * 19}, ""),
    ({}, {}, ""),
])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_datetime_of_a_photo(tmp_path, base, sub, expected, suffix):
    path = save_with_exif(tmp_path / f"photo.{suffix}", base=base, sub=sub)
    assert read_datetime(path) == expected
    assert read_photo(path, 10).datetime == expected


@pytest.mark.filterwarnings("error")
def test_garbage_in_the_exif_leaves_the_photo_readable(tmp_path):
    path = save_with_exif(tmp_path / "sound.jpg", base={ORIENTATION: 1})
    sound = path.read_bytes()
    expected = read_photo(path)
    start = sound.index(b"Exif\0\0") + 6
    length = struct.unpack(">H", sound[start - 8:start - 6])[0] - 8
    random = np.random.default_rng(0)
    for _ in range(40):
        garbage = random.integers(0, 256, length, dtype=np.uint8).tobytes()
        for head in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\x7f"):
            exif = (head + garbage)[:length]
            path.write_bytes(sound[:start] + exif + sound[start + length:])
            photo = read_photo(path)
            assert sorted(photo.image.shape) == sorted(expected.image.shape)
            assert abs(photo.image.mean() - expected.image.mean()) < 1e-9


@pytest.mark.parametrize(("size", "other", "expected"), [
    ((640, 480), (4000, 3000), True), ((4000, 3000), (640, 480), True),
    ((640, 427), (4000, 2667), True), ((640, 426), (4000, 2667), True),  # 426.7 either way
    ((1333, 1000), (4000, 3000), True), ((640, 480), (640, 480), True),
    ((640, 480), (480, 640), False), ((3000, 4000), (640, 480), False),  # rotated
    ((640, 480), (640, 482), False), ((640, 640), (4000, 3000), False),
    ((640, 360), (4000, 3000), False), ((640, 476), (4000, 3000), False),
])
def test_same_aspect(size, other, expected):
    assert same_aspect(size, other) is expected
    assert same_aspect(other, size) is expected


def test_scaled_size_is_always_of_the_same_aspect():
    random = np.random.default_rng(0)
    for _ in range(1000):
        size = tuple(int(side) for side in random.integers(100, 6000, 2))
        assert same_aspect(size, scaled_size(*size, int(random.integers(32, 2000))))


def test_is_infrared():
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (60, 80, 1)).repeat(3, axis=2).astype(np.uint8)
    assert is_infrared(grey)
    noisy = (grey.astype(int) + random.integers(-3, 4, (60, 80, 3))).clip(0, 255).astype(np.uint8)
    assert is_infrared(noisy)  # JPEG leaves a little colour
    stamped = noisy.copy()
    stamped[:4] = (230, 30, 30)  # the camera's own coloured banner
    assert is_infrared(stamped)
    assert not is_infrared(np.asarray(smooth_photo(80, 60)))
    brown = np.full((60, 80, 3), (120, 100, 80), np.uint8)
    assert not is_infrared(brown)
