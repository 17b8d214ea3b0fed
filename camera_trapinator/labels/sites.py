"""The camera site and the split of each photo that is imported, where the labels do not tell them.

Locations decide what a score is worth, so what was assumed is told, and what is not clear is asked.
"""

from collections.abc import Sequence

from .. import InputError
from ..data.locations import location_of, refuse_two_spellings, settle, split_folder, split_of
from .shapes import LabelledPhoto


def settle_splits(photos: Sequence[LabelledPhoto], said: str = "", tree: bool = False) -> str:
    """Fill in the splits by the folders, if `said` is "folders"; take away what the labels tell of
    them, if it is "none". Gives a line on what was assumed, "" where nothing was.

    `tree`: whether folders train and val are part of the tool's own layout; then they count where
    nobody has said anything. Raises InputError where folders look like splits and nobody has said
    what they are, and where some photos have a split and others none.
    """
    told = [split_of(photo.file.rpartition("/")[0]) for photo in photos]
    several = len(set(told) - {""}) > 1
    by = "labels"
    if said == "none":
        for photo in photos:
            photo.split = ""
    elif said == "folders" or (tree and several and "" not in told
                               and not any(photo.split for photo in photos)):
        by = "folders"
        for photo, split in zip(photos, told, strict=True):
            if not split:
                raise InputError(f"--split folders: {photo.source} lies in no folder train, val or "
                                 "test")
            photo.split = split
    elif several and not any(photo.split for photo in photos):
        names = {split_folder(photo.file.rpartition("/")[0]) for photo in photos} - {""}
        raise InputError(f"do the folders {', '.join(sorted(names))} tell the splits? "
                         "Say --split folders, or --split none to have locations drawn anew")
    without = [photo for photo in photos if not photo.split]
    if not without or len(without) == len(photos):
        return "" if without or not photos else f"by the {by}; --split none has them drawn anew"
    raise InputError(f"{without[0].where}: no split is known of {without[0].source}, and of "
                     f"{len(without) - 1} more photos, but of others there is; move them, or say "
                     "--split none to have locations drawn anew")


def settle_sites(photos: Sequence[LabelledPhoto], visits: str = "") -> str:
    """Fill in the locations that labels do not tell. `visits`: see `data.locations.settle`. Gives a
    line on what was assumed.

    Raises InputError where folders look like visits and nobody has said what they are, and for a
    location that is spelled in two ways.
    """
    assumed = [photo for photo in photos if not photo.location]
    for photo in assumed:
        photo.location = location_of(photo.file.removeprefix("photos/"))
    sites = settle({photo.location for photo in assumed}, visits,
                   "Say --visits drop (one camera) or --visits keep (cameras of their own)")
    for photo in assumed:
        photo.location = sites[photo.location]
    places = sorted({photo.location for photo in photos})
    refuse_two_spellings(places, lambda place: next(
        f" ({photo.source})" for photo in photos if photo.location == place))
    source = "folders" if len(assumed) == len(photos) else "labels"
    if 0 < len(assumed) < len(photos):
        source += f" (of {len(assumed)} photos the folders)"
    return f"{len(places)}, by the {source}, such as {', '.join(places[:3])}" if places else ""
