"""Photos that are nearly the same are found, wherever they lie."""

import numpy as np
import pytest
from coloured_photos import smooth_photo

from camera_trapinator.data.photos import fingerprint, read_photo
from camera_trapinator.data.splits import near_duplicates
from camera_trapinator.utils import ROOT

WILD7 = ROOT.parent / "shared" / "data" / "wild7"


def test_fingerprints_know_copies_and_nothing_else():
    random = np.random.default_rng(0)
    photos = [smooth_photo(random) for _ in range(60)]
    copies = [photo.resize((160, 120)) for photo in photos[:5]]
    bits = [fingerprint(np.asarray(photo)) for photo in [*photos, *copies]]
    splits = ["train"] * 60 + ["test"] * 5
    assert near_duplicates(bits, splits, [f"site{n}" for n in range(65)]) == [
        (n, 60 + n) for n in range(5)]
    # Photos of one location look alike anyway, photos without a split do not matter.
    assert near_duplicates(bits, splits, ["site"] * 60 + ["site"] * 4 + ["other"]) == [(4, 64)]
    assert near_duplicates(bits, [*splits[:60], *[""] * 5], [f"{n}" for n in range(65)]) == []
    assert fingerprint(np.full((48, 64, 3), 7, np.uint8)) is None


@pytest.mark.skipif(not WILD7.is_dir(), reason=f"the photos of {WILD7} are not here")
def test_the_two_copies_of_wild7_are_found():
    files = [file for split in ("train", "valid") for file in sorted((WILD7 / split).glob("*.jpg"))]
    bits = [fingerprint(read_photo(file, 64).image) for file in files]
    splits = [file.parent.name for file in files]
    found = near_duplicates(bits, splits, splits)
    assert len(found) == 2
    for first, second in found:
        assert files[first].read_bytes() == files[second].read_bytes()
