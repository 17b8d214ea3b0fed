"""Folders of mask pictures: palette, grey (8 or 16 bits) or colour-coded; CVAT's mask export.

A table says what each value or colour means, see mask_table.py. Where it has both, grey and palette
pictures go by colour if all their colours are in it, else by value. What the table leaves out:
value 0 and black are background, value 255 and the cream of PASCAL VOC (224, 224, 192) are ignored.
What is transparent is background. Colour pictures that hold nothing but grey count as grey, if the
table has values alone. smooth_edges.py says what becomes of colours and values between two classes.
Sources: docs.cvat.ai, format-smask; the PASCAL VOC development kit.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from .. import IGNORE, InputError
from ..data.manifest import BACKGROUND
from ..data.photos import sixteen_bits
from ..data.progress import progress
from .exports import check_folder, open_mask
from .mask_names import note_other_endings, refuse_ending, without_channels
from .mask_table import IGNORED, Table, read_table
from .pairing import pair_labels, without_photo
from .shapes import Labels, Shape
from .smooth_edges import are_smooth, nearest_neighbour, unknown_colours
from .source import Source
from .unknown import Lacking, LackingAnywhere, described

CREAM = 0xE0E0C0  # which PASCAL VOC ignores
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "F")  # of Pillow, and I for 16 bits
UNSEEN, HALF_SEEN = -1, -2  # instead of the values of pixels that are transparent, or half so


def read_mask_folder(source: Source, colours: Path, ending: str = ".png",
                     edges: str = "nearest") -> Labels:
    """The labels of a folder of pictures, in the same tree as the photos.

    The mask of `a/IMG_1.jpg` is `a/IMG_1<ending>`; that of nnU-Net's `a/x_0000.png` is `a/x.png`.
    `colours` is the file of the table. `edges`: colours that the table lacks, if they look like the
    smooth edge between two classes, go to the `nearest` of the colours that touch them, or to
    `ignore`. Pictures that cannot hold classes are named, and so are values and colours that the
    table does not know, when they are drawn.
    """
    if source.path.is_file():
        raise InputError(f"{source.path}: a file, not the folder of the masks; give "
                         f"{source.path.parent}")
    check_folder(source.path, "masks")
    table = read_table(colours)
    pairs, alone = without_channels(source, *pair_labels(source, ending))
    masks = [mask for _, mask in pairs if mask is not None]
    without = [file for file, mask in pairs if mask is None]
    note_other_endings(source, without, ending)
    if not masks and not source.faults:
        refuse_ending(source, without, ending)
    lacking = LackingAnywhere(masks, partial(_classes_of, table=table, edges=edges))
    photos = []
    for file, mask in progress(pairs, "reading"):
        with source.noted():
            photo = source.photo(file, mask or "")
            if photo is None:
                continue
            if mask is not None:
                photo.width, photo.height = _check_header(mask)
                photo.picture = partial(_read_shapes, mask, table, edges, lacking)
            photos.append(photo)
    without_photo(source, alone)
    return source.labels(photos, table.order)


def _check_header(path: Path) -> tuple[int, int]:
    """Width and height of a mask. Refuses what cannot hold classes, from the header alone."""
    with open_mask(path) as picture:
        if picture.format in ("JPEG", "MPO") or picture.info.get("compression") == "jpeg":
            raise InputError(f"{path}: a JPEG cannot hold a mask, compression invents colours; "
                             "export the masks as PNG")
        if getattr(picture, "n_frames", 1) > 1:
            raise InputError(f"{path}: {picture.n_frames} pages in one file; save the page with "
                             "the mask alone")
        if picture.mode not in MODES and not picture.mode.startswith("I"):
            raise InputError(f"{path}: colours of the kind {picture.mode} are not exact; save the "
                             "mask as RGB, palette or grey")
        return picture.size


def _read_shapes(path: Path, table: Table, edges: str, lacking: LackingAnywhere) -> list[Shape]:
    """The classes of a picture, each with its pixels."""
    try:
        names, classes = _classes_of(path, table, edges)
    except Lacking as error:
        raise InputError(f"{error}{lacking.told_with(path)}") from None
    return [Shape(None if name == IGNORED else name, inside=classes == place)
            for place, name in enumerate(names) if name != BACKGROUND]


def _classes_of(path: Path, table: Table, edges: str) -> tuple[list[str], np.ndarray]:
    """The names of the classes of a picture, and for each pixel (height, width) its place there."""
    with open_mask(path) as picture:
        deep = sixteen_bits(picture)
        if deep is not None and (deep % 257).any():  # 65535 of 16 bits is 255 of 8
            raise InputError(f"{path}: values such as {deep[deep % 257 > 0][0]} of 16 bits a "
                             "channel are no colours of 8 bits; save the mask with 8 bits")
        pixels = np.array(_as_the_table_says(picture, table))
    if pixels.ndim == 3 and pixels.shape[2] > 2:
        return _by_colour(pixels, table, edges, path)
    if pixels.ndim == 3:  # grey and alpha, as of Labelbox: what is transparent is not drawn
        grey, opacity = pixels[..., 0].astype(np.int64), pixels[..., 1]
        grey[opacity < 128] = UNSEEN
        if edges == "ignore":
            grey[(opacity > 0) & (opacity < 255)] = HALF_SEEN
        values = {UNSEEN: BACKGROUND, HALF_SEEN: IGNORED, **table.values}
        return _by_value(grey, values, edges, path)
    return _by_value(pixels, table.values, edges, path)


def _as_the_table_says(picture: Image.Image, table: Table) -> Image.Image:
    """The picture as one channel of values, perhaps with alpha, or as RGB or RGBA."""
    if picture.mode == "1" and 1 not in table.values:
        picture = picture.convert("L")  # white is 255, as every viewer shows it
    if picture.mode in ("RGB", "RGBA") and not table.colours and _is_grey(picture):
        picture = picture.convert("LA" if picture.mode == "RGBA" else "L")
    if picture.mode == "LA" and picture.getextrema()[1] == (255, 255):
        picture = picture.convert("L")  # nothing of it is transparent
    if picture.mode in ("1", "L", "P", "LA"):
        if not table.colours or (table.values and not _all_colours_known(picture, table)):
            return picture
    elif picture.mode == "F" or picture.mode.startswith("I"):
        return picture
    see_through = "A" in picture.mode or "transparency" in picture.info
    return picture.convert("RGBA" if see_through else "RGB")


def _is_grey(picture: Image.Image) -> bool:
    """Whether an RGB or RGBA picture has no colour; what is transparent by one has."""
    red, green, blue = picture.split()[:3]
    return ("transparency" not in picture.info
            and red.tobytes() == green.tobytes() == blue.tobytes())


def _all_colours_known(picture: Image.Image, table: Table) -> bool:
    """Whether the values of a grey or palette picture have each a colour of the table."""
    if picture.mode == "LA":
        picture = picture.convert("L")
    colours = [red << 16 | green << 8 | blue
               for _, (red, green, blue) in picture.convert("RGB").getcolors(256)]
    return (len(colours) == len(picture.getcolors(256))  # else a palette without meaning
            and all(colour in table.colours or colour == CREAM for colour in colours))


def _by_value(pixels: np.ndarray, values: dict[int, str], edges: str, path: Path,
              ) -> tuple[list[str], np.ndarray]:
    whole = (abs(pixels) < 1e9) & (pixels == np.round(pixels))  # not so for NaN
    if not whole.all():
        raise InputError(f"{path}: values such as {pixels[~whole][0]} are no classes; save whole "
                         "numbers")
    pixels = pixels.astype(np.int64)
    known = {0: BACKGROUND, IGNORE: IGNORED, **values}
    found, first, counts = np.unique(pixels, return_index=True, return_counts=True)
    places = dict(zip(found.tolist(), zip(counts.tolist(), *(
        along.tolist() for along in np.unravel_index(first, pixels.shape)), strict=True),
        strict=True))
    strange = [value for value in places if value not in known]
    if strange and are_smooth({value: count for value, (count, *_) in places.items()}, known):
        greys = {value * 0x010101: name for value, name in known.items() if 0 <= value < 256}
        with suppress(Lacking):  # a region: told with its value below
            return _by_colour(np.dstack([pixels.astype(np.uint8)] * 3),
                              Table({}, greys, []), edges, path)
    if strange:
        listed = ", ".join(f"{value} ({count} pixels)" for value, (count, *_) in
                           list(places.items())[:20] if value >= 0)
        lines = " ".join(f"{value},NAME" for value in strange[:20])
        raise Lacking(
            f"{path}: value {strange[0]} is not in the table ({described(*places[strange[0]])}); "
            f"found {listed}. Add to the table, a line each: {lines} (or, if these are smooth "
            "edges, save the mask without anti-aliasing)",
            {f"value {value}": places[value] for value in strange[:20]})
    names = sorted({known[value] for value in found.tolist()})
    place = {value: names.index(known[value]) for value in found.tolist()}
    return names, np.array([place[value] for value in found.tolist()])[
        np.searchsorted(found, pixels)]


def _by_colour(pixels: np.ndarray, table: Table, edges: str, path: Path,
               ) -> tuple[list[str], np.ndarray]:
    if not table.colours:
        raise InputError(f"{path}: a colour picture, but the table has only values; give it lines "
                         "`colour,name`, such as `#ff00ff,snow`")
    known = {0: BACKGROUND, CREAM: IGNORED, **table.colours}
    names = sorted({BACKGROUND, IGNORED, *known.values()})
    colours = np.array([(code >> 16, code >> 8 & 255, code & 255) for code in known]
                       + [(0, 0, 0)], np.int32)  # the last one is what is transparent
    meanings = np.array([names.index(name) for name in (*known.values(), BACKGROUND)], np.uint8)
    codes = pixels[..., 0].astype(np.uint32) << 16
    codes |= pixels[..., 1].astype(np.uint32) << 8
    codes |= pixels[..., 2]
    places = np.full(codes.shape, -1, np.int16)  # of the pixels' colours in `colours`
    for place, code in enumerate(known):
        places[codes == code] = place
    if pixels.shape[2] == 4:  # what is transparent is not drawn; half so is a smooth edge
        opacity = pixels[..., 3]
        places[opacity == 0] = len(known)
        places[(opacity > 0) & (opacity < 255)] = -1
        codes |= (255 - opacity.astype(np.uint32)) << 24
    rows, columns = np.nonzero(places < 0)
    if not len(rows):
        return names, meanings[places]
    blends = pixels[rows, columns].astype(np.int32)
    if pixels.shape[2] == 4:  # as it looks on black
        blends = blends[:, :3] * blends[:, 3:] // 255
    if unknown := unknown_colours(codes, places, rows, columns, blends, colours):
        first, *others = unknown
        also = ", ".join(f"{name} ({described(*unknown[name])})" for name in others)
        raise Lacking(f"{path}: colour {first} fills a region ({described(*unknown[first])}) but "
                      f"is not in the table{also and f'; likewise {also}'}; give each a line "
                      "`colour,name`, and draw it opaque", unknown)
    if edges == "nearest":
        places[rows, columns] = nearest_neighbour(places, rows, columns, blends, colours)
    classes = meanings[places]
    if edges == "ignore":
        classes[rows, columns] = names.index(IGNORED)
    return names, classes
