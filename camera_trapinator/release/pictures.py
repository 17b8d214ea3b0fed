"""What a public picture tells beside its pixels: where it was taken, and by which camera.

EXIF tags: CIPA DC-008 (Exif 2.32); XMP: ISO 16684-1. A camera's serial number ties a picture to all
others of that camera, and so to a place.
"""

import io
import re
import warnings
from collections.abc import Iterator

from PIL import Image

from ..data.photos import EXIF_IFD, GPS_IFD, UNREADABLE

# Tags of EXIF, all in its own folder but the DNG's.
OWN = {0xA430: "the owner's name", 0xA431: "the camera's serial number",
       0xA435: "the lens's serial number", 0xC62F: "the camera's serial number",
       0x927C: "the maker's notes, in which trail cameras write their serial number"}
# The same as XMP has it, and as programs write it into PNG's text and JPEG's comment.
WRITTEN = re.compile(rb"(GPSL(?:at|ong)itude|GPSPosition)|((?:Body|Camera|Lens)?SerialNumber)"
                     rb"\b(?=[\"'<>= :])")
PIECES = ("comment", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1")


def hidden_facts(content: bytes) -> Iterator[tuple[str, str]]:
    """(kind of finding, what a picture tells) for what should not be published with it.

    `content`: the file's bytes. What Pillow cannot read is told: nobody knows what is in it.
    """
    found: set[tuple[str, str]] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                image.load()  # what stands behind the pixels of a PNG
                exif = image.getexif()
                if any(exif.get_ifd(GPS_IFD).get(tag) for tag in (2, 4)):  # latitude, longitude
                    found.add(("coordinates", "GPS position in the EXIF"))
                own = {**exif, **exif.get_ifd(EXIF_IFD)}
                found |= {("camera", f"{name} in the EXIF") for tag, name in OWN.items()
                          if own.get(tag)}
                pieces = [image.info[name] for name in PIECES if name in image.info]
                pieces += getattr(image, "text", {}).values()
    except UNREADABLE as error:
        yield "photo", f"a picture that cannot be looked into ({str(error)[:60]})"
        return
    texts = [piece if isinstance(piece, bytes) else str(piece).encode() for piece in pieces]
    for text in (content, *texts):
        for match in WRITTEN.finditer(text):
            found.add(("coordinates", "GPS position in the XMP or a comment") if match[1] else
                      ("camera", "the camera's serial number in the XMP or a comment"))
    yield from sorted(found)
