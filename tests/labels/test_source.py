"""Source: the photos that labels mean, however they are spelled; and all that is amiss, at once."""

import unicodedata

import pytest
from conftest import error_line
from label_files import SQUARE, import_labels, imported, refusal, write_coco, write_photos
from PIL import Image

from camera_trapinator import InputError
from camera_trapinator.labels.exports import no_area
from camera_trapinator.labels.shapes import Shape
from camera_trapinator.labels.source import Source

NFC, NFD = (unicodedata.normalize(form, "Füchse am Bärensee") for form in ("NFC", "NFD"))
PHOTO = f"{NFC}/100RECNX/IMG_0001.JPG"


def source_of(folder, **options):
    return Source(folder / "labels.json", folder / "card", "photos/card", **options)


@pytest.mark.parametrize("given", [
    PHOTO.lower(), PHOTO.upper(), PHOTO.replace(".JPG", ".jpg"), PHOTO.replace(NFC, NFD),
    PHOTO.replace("/", "\\"), "./" + PHOTO, PHOTO.replace("/", "//"),
    f"C:\\Users\\Ann\\card\\{PHOTO}".replace("/", "\\"), f"/home/ann/survey 2/{PHOTO}",
    f"D:/{NFD.upper()}/100recnx/img_0001.jpeg".replace("jpeg", "jpg"),
], ids=["small", "large", "suffix", "NFD", "backslashes", "dot", "slashes", "Windows", "Linux",
        "all of it"])
def test_a_photo_is_found_however_it_is_spelled(given, tmp_path):
    assert NFC != NFD
    write_photos(tmp_path / "card", PHOTO, f"{NFC}/IMG_0001.JPG", f"{NFC}/100RECNX/IMG_0002.JPG")
    source = source_of(tmp_path)
    photo = source.photo(given, "labels.json, image 3")
    assert photo.file == f"photos/card/{PHOTO}" and photo.source == tmp_path / "card" / PHOTO
    assert (photo.width, photo.height) == (64, 48) and photo.where == "labels.json, image 3"
    told = source.labels([photo]).sound().told
    if given in ("./" + PHOTO, PHOTO.replace("/", "//")):  # the very same path
        assert told == []
    else:
        assert len(told) == 1 and "1 photos have another path or spelling" in told[0]
        assert repr(given) in told[0] and str(photo.source) in told[0]


def test_a_photo_with_the_name_of_a_macos_disk_is_found_by_the_usual_one(tmp_path):
    write_photos(tmp_path / "card", f"{NFD}/1.jpg")
    assert source_of(tmp_path).find(f"{NFC}/1.jpg", "x") == f"{NFD}/1.jpg"


@pytest.mark.parametrize(("given", "found"), [
    ("survey/site1/1.jpg", "site1/1.jpg"), ("site3/1.jpg", "1.jpg"), ("1.jpg", "1.jpg"),
    ("site1/2.jpg", None), ("a/b/2.jpg", None), ("1.jpeg", None), ("", None), ("/", None),
])
def test_the_longest_end_of_a_path_counts_and_a_photo_in_another_folder_does_not(
        given, found, tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "site1/1.jpg", "site2/1.jpg", "site2/2.jpg")
    assert source_of(tmp_path).find(given, "x") == found


def test_two_photos_that_fit_are_refused_but_the_very_path_is_not_one_of_two(tmp_path):
    write_photos(tmp_path / "card", "a/IMG_1.JPG", "a/img_1.jpg")
    source = source_of(tmp_path)
    assert source.find("a/img_1.jpg", "x") == "a/img_1.jpg"
    for given in ("A/img_1.jpg", "a/Img_1.jpg", "/home/a/IMG_1.jpg"):
        with pytest.raises(InputError, match=r"image 3: is photo .*/a/IMG_1\.JPG or .*/a/img_1"):
            source.find(given, "image 3")


@pytest.mark.parametrize("given", ["link.jpg", "LINK.JPG", "folder/1.jpg", "/link.jpg"])
def test_links_that_lead_out_are_refused(given, tmp_path):
    write_photos(tmp_path / "elsewhere", "1.jpg")
    write_photos(tmp_path / "card", "1.jpg")
    (tmp_path / "card/link.jpg").symlink_to(tmp_path / "elsewhere/1.jpg")
    (tmp_path / "card/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "card/inside.jpg").symlink_to(tmp_path / "card/1.jpg")
    source = source_of(tmp_path)
    with pytest.raises(InputError, match="image 3: photo .* leads out of .* through a link"):
        source.photo(given, "image 3")
    assert source.photo("inside.jpg").width == 64


@pytest.mark.parametrize("given", ["../elsewhere/1.jpg", "a/../1.jpg", "..\\1.jpg", "a\0/1.jpg"])
def test_paths_that_climb_are_refused(given, tmp_path):
    write_photos(tmp_path / "card", "1.jpg")
    with pytest.raises(InputError, match="image 3: photo .* is no path inside the folder"):
        source_of(tmp_path).photo(given, "image 3")


def test_missing_photos_are_one_fault_or_listed(tmp_path):
    write_photos(tmp_path / "card", "site1/1.jpg")
    for skip in (False, True):
        source = source_of(tmp_path, skip_missing=skip)
        assert source.photo("site2/1.jpg") is source.photo("2.jpg") is None
        labels = source.labels([source.photo("site1/1.jpg")])
        if skip:
            path = tmp_path / "labels.json"
            assert labels.sound().unpaired == [f"{path}: its photo {name} is missing"
                                               for name in ("site2/1.jpg", "2.jpg")]
        else:
            assert labels.unpaired == [] and len(labels.faults) == 1
            assert "2 of its photos are not in" in labels.faults[0]
            assert "'site2/1.jpg' (site1/1.jpg is there" in labels.faults[0]
            assert "--skip-missing" in labels.faults[0]


def test_broken_photos_are_faults_each_or_left_out(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "card/1.jpg").write_bytes(b"")
    (tmp_path / "card/3.jpg").write_bytes((tmp_path / "card/3.jpg").read_bytes()[:11])
    for skip in (False, True):
        source = source_of(tmp_path, skip_broken=skip)
        photos = [photo for name in "123" if (photo := source.photo(f"{name}.jpg")) is not None]
        labels = source.labels(photos)
        assert [photo.file for photo in labels.photos] == ["photos/card/2.jpg"]
        told, silent = (labels.unpaired, labels.faults) if skip else (labels.faults,
                                                                      labels.unpaired)
        assert [name in line for name, line in zip(("1.jpg", "3.jpg"), told, strict=True)] == [
            True, True]
        assert silent == [] and all(("--skip-broken" in line) != skip for line in told)


def test_labels_of_another_folder_with_the_same_names_are_missing_here(tmp_path):
    """One export for siteA and siteB, of which siteA alone is given: whose photo is 2.jpg?"""
    write_photos(tmp_path / "siteA", "1.jpg", "2.jpg", "sub/3.jpg")
    source = Source(tmp_path / "labels.json", tmp_path / "siteA")
    photos = [source.photo(name) for name in (
        "survey/siteA/1.jpg", "survey/siteB/2.jpg", "survey/sitea/sub/3.jpg")]
    labels = source.labels(photos)
    assert [photo.file for photo in labels.photos] == ["1.jpg", "sub/3.jpg"]
    assert "1 of its photos are not in" in labels.faults[0] and "siteB/2.jpg" in labels.faults[0]
    assert "2 photos have another path" in labels.told[0]


def test_marks_without_area_are_told_beside_shapes_and_faults_alone(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg")
    for shapes in ([], [Shape("fox", polygons=SQUARE)]):
        source = source_of(tmp_path)
        photos = [source.photo("1.jpg"), source.photo("2.jpg")]
        photos[0].shapes = shapes
        with source.noted(photos[1]):
            raise no_area("image 2, shape 1", "polyline")
        labels = source.labels(photos)
        assert [photo.unclear for photo in photos] == [False, True]
        assert bool(labels.faults) != bool(shapes) and bool(labels.told) == bool(shapes)
        assert "image 2, shape 1: a polyline has no area" in (labels.faults + labels.told)[0]


def test_all_that_is_amiss_is_told_in_one_run_with_a_count_for_each_kind(tmp_path):
    names = [f"{number}.jpg" for number in range(12)]
    write_photos(tmp_path / "card", *names)
    for name in names[:2]:
        (tmp_path / "card" / name).write_bytes(b"")
    no_points = [[1, 1, 2]]
    labels = write_coco(tmp_path / "labels.json", [*names, "gone.jpg"], [
        {"image_id": place, "segmentation": SQUARE if place > 8 else no_points}
        for place in range(13)] + [{"image_id": 11, "category_id": 99, "segmentation": SQUARE}])
    result = import_labels("coco", labels, "--images", tmp_path / "card", "--out",
                           tmp_path / "out")
    # Broken: 0 and 1. No points: 2 to 8. Gone: 12. And the unknown category.
    assert "11 faults, of 4 kinds" in error_line(result)
    faults = [line.removeprefix("fault       ") for line in result.stdout.splitlines()
              if line.startswith("fault ")]
    assert sum("cannot be read as a photo" in line for line in faults) == 2
    assert [line.split(", ")[1].split(":")[0] for line in faults if "no polygon" in line] == [
        "annotation 2", "annotation 3", "annotation 4"]
    assert "and 4 more like this" in faults
    assert sum("category_id 99" in line for line in faults) == 1
    assert sum("'gone.jpg'" in line for line in faults) == 1 and len(faults) == 8
    assert not (tmp_path / "out").exists()


def test_what_may_be_skipped_is_and_the_other_faults_stay(tmp_path):
    write_photos(tmp_path / "card", "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "card/1.jpg").write_bytes(b"")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg", "2.jpg", "gone.jpg", "3.jpg"], [
        {"image_id": place, "segmentation": SQUARE if place < 3 else [[1, 2, 3]]}
        for place in range(4)])
    command = ["coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out",
               "--skip-missing", "--skip-broken"]
    told = refusal(import_labels(*command))
    assert "annotation 3" in told and "gone.jpg" not in told and "1.jpg" not in told
    write_coco(labels, ["1.jpg", "2.jpg", "gone.jpg"], [
        {"image_id": place, "segmentation": SQUARE} for place in range(3)])
    result = import_labels(*command)
    assert result.returncode == 0 and "photos      1: 1 with masks" in result.stdout
    unpaired = (tmp_path / "out/unpaired.txt").read_text()
    assert "1.jpg: cannot be read as a photo" in unpaired and "gone.jpg is missing" in unpaired


# ---------------------------------------------------------------- names alone, and other folders


@pytest.mark.parametrize(("given", "found"), [
    ("IMG_1.JPG", "site1/IMG_1.JPG"), ("img_1.jpg", "site1/IMG_1.JPG"),
    ("100RECNX/IMG_2.JPG", "site2/100RECNX/IMG_2.JPG"), ("frame_000007", "site2/frame_000007.PNG"),
    ("my%20fox.jpg", "site1/my fox.jpg"), ("../card/site1/IMG_1.JPG", "site1/IMG_1.JPG"),
    ("IMG_3.JPG", None), ("site9/IMG_1.JPG", None)])
def test_a_name_alone_is_enough_where_one_photo_has_it(given, found, tmp_path):
    write_photos(tmp_path / "card", "site1/IMG_1.JPG", "site2/100RECNX/IMG_2.JPG",
                 "site2/frame_000007.PNG", "site1/my fox.jpg")
    source = source_of(tmp_path)
    photo = source.photo(given)
    assert (photo and photo.file) == (found and f"photos/card/{found}")
    assert bool(source.matched) == (found is not None)


def test_a_name_alone_that_two_photos_have_is_refused_with_the_cure(tmp_path):
    write_photos(tmp_path / "card", "site1/IMG_1.JPG", "site2/IMG_1.JPG")
    with pytest.raises(InputError, match="is photo 'IMG_1.JPG' .*site1/IMG_1.JPG or .*--images"):
        source_of(tmp_path).photo("IMG_1.JPG")


def test_a_photo_that_lies_where_the_labels_say_is_not_another_one_here(tmp_path):
    """Labels of A alone, and --images B, where the same names are."""
    write_photos(tmp_path, "A/IMG_1.JPG", "card/IMG_1.JPG")
    for given in ("A/IMG_1.JPG", str(tmp_path / "A/IMG_1.JPG")):
        source = source_of(tmp_path)
        assert source.photo(given) is None and source.missing == [given]
    assert source_of(tmp_path).photo("C/IMG_1.JPG").file == "photos/card/IMG_1.JPG"  # and told


def test_a_photo_that_labels_name_by_its_path_takes_none_of_its_name_alone(tmp_path):
    write_photos(tmp_path / "card", "a/1.jpg")
    source = source_of(tmp_path, skip_missing=True)
    photos = [source.photo("a/1.jpg"), source.photo("1.jpg")]
    labels = source.labels(photos)
    assert [photo.file for photo in labels.photos] == ["photos/card/a/1.jpg"]
    assert "its photo 1.jpg is missing" in labels.unpaired[0]


def test_photos_that_exif_turns_are_told_for_every_tool(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 3
    write_photos(tmp_path / "card", "1.jpg", exif=tags)
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE}])
    stdout = imported("coco", labels, "--images", tmp_path / "card", "--out", tmp_path / "out")
    assert "1 photos are turned by their EXIF" in stdout


def test_an_export_given_twice_is_refused(tmp_path):
    write_photos(tmp_path, "A/1.jpg", "B/1.jpg")
    labels = write_coco(tmp_path / "labels.json", ["1.jpg"], [
        {"image_id": 0, "segmentation": SQUARE}])
    line = error_line(import_labels("coco", labels, labels, "--images", tmp_path / "A",
                                    tmp_path / "B", "--out", tmp_path / "out"))
    assert "given twice" in line and not (tmp_path / "out").exists()
