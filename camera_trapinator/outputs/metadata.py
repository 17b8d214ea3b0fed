"""What stands in a photo's file beside its picture, for copies that may be published.

The place (GPS), in EXIF and XMP, is only one of its dangers: a comment, the name of an owner, the
maker's notes, or the small picture in it may tell a place or show a face. So what is copied is
named, and all else is left out. Sources: Exif 2.32 (CIPA DC-008); for the parts of a JPEG ITU T.81,
annex B.
"""

import re
from pathlib import Path

from PIL import Image

from ..data.photos import EXIF_IFD, GPS_IFD, UNREADABLE, open_picture

# Of the EXIF: make, model, time; exposure, aperture, sensitivity, times, flash, focal length.
KEPT = (0x010F, 0x0110, 0x0132)
KEPT_OF_PHOTO = (0x829A, 0x829D, 0x8827, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9209, 0x920A,
                 0x9290, 0x9291, 0x9292)
# Segments of a JPEG that its colours hang on, by how they begin.
COLOURS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}


def tells_place(photo: Path) -> bool:
    """Whether a photo's EXIF or XMP tells where it was taken. In doubt it does."""
    try:
        with open_picture(photo) as image:
            xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
            xmp = xmp.encode() if isinstance(xmp, str) else xmp
            return b"GPS" in xmp or bool(image.getexif().get_ifd(GPS_IFD))
    except UNREADABLE:
        return True


def kept_exif(image: Image.Image) -> Image.Exif:
    """Of a picture's EXIF what tells neither a place nor a person; without the orientation."""
    kept, found = Image.Exif(), {}
    try:
        exif = image.getexif()
        kept.update({tag: exif[tag] for tag in KEPT if tag in exif})
        inner = exif.get_ifd(EXIF_IFD)
        found = {tag: inner[tag] for tag in KEPT_OF_PHOTO if tag in inner}
    except UNREADABLE:  # broken EXIF in a sound photo is common
        pass
    if found:
        kept.get_ifd(EXIF_IFD).update(found)
    return kept


def copy_picture(photo: Path, to: Path) -> None:
    """Copy a photo that is stored upright: the same pixels, and `kept_exif`."""
    with open_picture(photo) as image:
        exif = kept_exif(image)
        if image.format in ("JPEG", "MPO"):
            to.write_bytes(bare_jpeg(photo.read_bytes(), exif.tobytes() if exif else b""))
        else:
            save_bare(image, to, image.format, exif)


def save_bare(picture: Image.Image, to: Path, form: str, exif: Image.Exif) -> None:
    """Save a picture in the format `form` with this EXIF, and nothing else that its file held."""
    bare = Image.new(picture.mode, picture.size)
    if picture.mode == "P":
        bare.putpalette(picture.getpalette("RGB"))
    bare.paste(picture)
    bare.save(to, format=form, quality=95, exif=exif,
              icc_profile=picture.info.get("icc_profile"))


def bare_jpeg(data: bytes, exif: bytes) -> bytes:
    """The bytes of a JPEG's first picture, as they are, with this EXIF and without any other
    metadata; what follows it, such as the second picture of a phone, is cut off."""
    parts = [data[:2]]
    if exif:
        parts.append(b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif)
    place = 2
    while mark := re.compile(rb"\xff([^\xff\x00])").search(data, place):
        kind, start = mark[1][0], mark.end()
        if 0xD0 <= kind <= 0xD8 or kind == 0x01:  # within the pixels; they have no length
            parts.append(data[place:start])
            place = start
            continue
        if kind == 0xD9:
            return b"".join([*parts, data[place:start]])
        end = start + int.from_bytes(data[start:start + 2], "big")
        content = data[start + 2:end]
        told = 0xE0 <= kind <= 0xEF or kind == 0xFE  # by applications, or as a comment
        parts.append(data[place:mark.start()])  # pixels, of which some come between segments
        if not told or content.startswith(COLOURS.get(kind, ())):
            parts.append(data[mark.start():end])
        place = end
    return b"".join([*parts, data[place:]])  # torn: what is there
