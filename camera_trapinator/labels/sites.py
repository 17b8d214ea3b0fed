"""The camera site and the split of each photo that is imported, where the labels do not tell them.

Locations decide what a score is worth, so what was assumed is told, and what is not clear is asked.
"""

from collections.abc import Sequence

from .. import InputError
from ..data.locations import location_of, refuse_two_spellings, settle, split_of
from .shapes import LabelledPhoto


def settle_sites(photos: Sequence[LabelledPhoto], visits: str = "", splits: str = "") -> str:
    """Fill in the locations that labels do not tell; and the splits, if `splits` is "folders" (none
    if it is "none"). `visits`: see `data.locations.settle`. Gives a line on what was assumed.

    Raises InputError where folders look like splits or visits and nobody has said what they are,
    and for a location that is spelled in two ways.
    """
    assumed = [photo for photo in photos if not photo.location]
    for photo in assumed:
        photo.location = location_of(photo.file.removeprefix("photos/"))
    told = [split_of(photo.file.rpartition("/")[0]) for photo in photos]
    if splits == "folders":
        for photo, split in zip(photos, told, strict=True):
            if not split:
                raise InputError(f"--split folders: {photo.source} lies in no folder train, val or "
                                 "test")
            photo.split = split
    elif not splits and len(set(told) - {""}) > 1 and not any(photo.split for photo in photos):
        raise InputError(f"do the folders {', '.join(sorted(set(told) - {''}))} tell the splits? "
                         "Say --split folders, or --split none to have locations drawn anew")
    sites = settle({photo.location for photo in assumed}, visits,
                   "Say --visits drop (one camera) or --visits keep (cameras of their own)")
    for photo in assumed:
        photo.location = sites[photo.location]
    places = sorted({photo.location for photo in photos})
    refuse_two_spellings(places)
    source = "folders" if len(assumed) == len(photos) else "labels"
    if 0 < len(assumed) < len(photos):
        source += f" (of {len(assumed)} photos the folders)"
    return f"{len(places)}, by the {source}, such as {', '.join(places[:3])}"
