"""Photos that are nearly the same are found, wherever they lie."""

import numpy as np
import pytest
from coloured_photos import smooth_photo

from camera_trapinator.data.manifest import Manifest, Row
from camera_trapinator.data.photos import fingerprint, read_photo
from camera_trapinator.data.splits import near_duplicates
from camera_trapinator.training.preparation import tell_alike
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


def test_only_pairs_in_one_split_are_said_to_be_kept_together(capsys):
    manifest = Manifest([Row(f"{name}.jpg") for name in "abcdef"])
    pairs = [(0, 1), (2, 3), (4, 5)]  # together, torn apart, in no split at all
    tell_alike(manifest, ["train", "train", "train", "test", "", ""], pairs)
    assert capsys.readouterr().out == ("alike       1 pairs of near-duplicates, such as a.jpg and "
                                       "b.jpg, are kept in one split\n")
    tell_alike(manifest, ["train", "test"] * 3, pairs)
    assert capsys.readouterr().out == ""


def test_many_photos_that_are_alike_cost_no_more_than_many_others(monkeypatch):
    """Plain night photos share the rows of their fingerprints, all with all; each is compared with
    a thousand others at most, and found near."""
    random = np.random.default_rng(0)
    base = random.integers(0, 2, 256)
    bits, count = [], 4000
    for _ in range(count):
        changed = base.copy()
        changed[random.integers(0, 256, 5)] ^= 1
        bits.append(int.from_bytes(np.packbits(changed).tobytes(), "big"))
    compared, bitwise_count = [], np.bitwise_count
    monkeypatch.setattr(np, "bitwise_count", lambda words: (
        compared.append(words.shape[0] * words.shape[1]), bitwise_count(words))[1])
    found = near_duplicates(bits, ["train", "test"] * (count // 2),
                            [f"site{number % 7}" for number in range(count)])
    assert {index for pair in found for index in pair} == set(range(count))
    assert len(found) <= count and sum(compared) <= 3 * count * 1000


@pytest.mark.parametrize("seed", range(5))
def test_a_partner_is_found_if_there_is_one(seed):
    """Against all pairs, one by one."""
    random = np.random.default_rng(seed)
    bits = [int.from_bytes(random.bytes(32), "big") for _ in range(40)]
    for _ in range(80):  # copies in which some bits have changed
        copy = bits[random.integers(len(bits))]
        for place in random.integers(0, 256, random.integers(0, 25)):
            copy ^= 1 << int(place)
        bits.append(copy)
    splits = random.choice(["train", "val", ""], len(bits)).tolist()
    places = random.choice(["a", "b", "c"], len(bits)).tolist()
    expected = {one for one in range(len(bits)) for other in range(len(bits))
                if splits[one] and splits[other] and splits[one] != splits[other]
                and places[one] != places[other] and (bits[one] ^ bits[other]).bit_count() <= 15}
    found = near_duplicates(bits, splits, places)
    assert {index for pair in found for index in pair} == expected
    assert all((bits[one] ^ bits[other]).bit_count() <= 15 for one, other in found)
