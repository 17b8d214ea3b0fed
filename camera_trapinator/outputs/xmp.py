"""XMP sidecars: the species of each photo as keywords, for photo managers such as digiKam.

`a.jpg.xmp` beside `a.jpg` is what digiKam and darktable read (Lightroom: after an import through
one of them, or with exiftool, since it takes sidecars of raw photos only). They are written into a
folder of their own, in the photos' tree, to be copied where one wants them: the originals are
never touched. camtrapR reads no sidecars, only what exiftool has put into a copy of the photos, see
docs/results.md; it takes the group of keywords from the tree's root, which must be one word.
Source: the XMP specification (ISO 16684-1), part 2; exiv2.org for the name spaces.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape

from .. import written_whole
from ..data.progress import named
from .drawing import output_path
from .records import UNKNOWN, read_records, species_of

ROOT_KEYWORD = "Species"  # above the species in the tree of keywords: camtrapR's metadataSpeciesTag
EMPTY = "empty"
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmp:CreatorTool="camera_trapinator">
   <dc:subject><rdf:Bag>{flat}</rdf:Bag></dc:subject>
   <lr:hierarchicalSubject><rdf:Bag>{bars}</rdf:Bag></lr:hierarchicalSubject>
   <digiKam:TagsList><rdf:Seq>{slashes}</rdf:Seq></digiKam:TagsList>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


@named("xmp")
def write_xmp(records_path: str | Path, folder: str | Path,
              share: tuple[int, int] = (1, 1)) -> None:
    """Write `<folder>/<photo's path>.xmp` for each photo that could be read.

    Its keywords are the species that are present in it, `unknown` if something else is, or `empty`.
    `share`: see `read_records`. Raises InputError for a record whose path leads out of the folder.
    """
    info, records = read_records(records_path, share)
    names = [item["name"] for item in info["classes"]]
    for record in records:
        if record["failure"] is not None:
            continue
        there = {species_of(blob, names) for blob in record["blobs"]} or {EMPTY}
        keywords = [name for name in dict.fromkeys([*names[1:], UNKNOWN, EMPTY]) if name in there]
        with written_whole(output_path(folder, record["file"], ".xmp")) as path:
            path.write_text(packet(keywords), encoding="utf-8")


def packet(keywords: list[str]) -> str:
    """The XMP text with these keywords, flat and below `Species`."""
    # What XML cannot hold, and what parts the levels of a tree or, in exiftool's answer, keywords,
    # becomes a blank.
    words = [re.sub("[\x00-\x1f\ud800-\udfff\ufffe\uffff|/,]", " ", word) for word in keywords]

    def items(before: str) -> str:
        return "".join(f"<rdf:li>{escape(before + word)}</rdf:li>" for word in words)

    return PACKET.format(flat=items(""), bars=items(f"{ROOT_KEYWORD}|"),
                         slashes=items(f"{ROOT_KEYWORD}/"))
