"""XMP sidecars: the species as keywords."""

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image
from prediction_records import FULL_INFO, predicted, with_box, write_records

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.xmp import write_xmp

DUBLIN, RDF = "{http://purl.org/dc/elements/1.1/}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def test_sidecars_hold_the_species_as_keywords(tmp_path):
    info = {**FULL_INFO, "classes": [{"name": name, "colour": [0, 0, 0]} for name in (
        "background", "fox & <hound>", "deer, roe|\x07")]}
    mask = with_box(5, 5, 9, 9) + with_box(25, 5, 9, 9, species=2)
    path = write_records(tmp_path / "p.jsonl", [
        predicted("a/b.jpg", mask), predicted("c.JPG", 0 * mask),
        failure_record("torn.jpg", "truncated")], info)
    write_xmp(path, tmp_path / "xmp")
    found = {}
    for sidecar in (tmp_path / "xmp").rglob("*.xmp"):
        description = ElementTree.parse(sidecar).getroot().find(f"{RDF}RDF/{RDF}Description")
        found[sidecar.relative_to(tmp_path / "xmp").as_posix()] = [
            [item.text for item in description.iter(f"{RDF}li")],
            [item.text for item in description.find(f"{DUBLIN}subject").iter(f"{RDF}li")]]
    assert found["c.JPG.xmp"] == [["empty", "Species|empty", "Species/empty"], ["empty"]]
    assert found["a/b.jpg.xmp"][1] == ["fox & <hound>", "deer  roe  "]
    assert "Species|deer  roe  " in found["a/b.jpg.xmp"][0]
    assert len(found) == 2


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_puts_a_sidecar_into_its_photo(tmp_path):
    """The line of docs/results.md; then camtrapR's recordTable asks exiftool for the keywords of
    each photo, parts them at commas, and takes those of the group `Species`."""
    mask = with_box(5, 5, 9, 9) + with_box(25, 5, 9, 9, species=2)
    for number, name in enumerate(("north/a.jpg", "south 2/100MEDIA/B.JPG")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        exif = Image.Exif()
        exif.get_ifd(0x8769)[36867] = f"2024:05:0{number + 1} 06:00:00"
        Image.new("RGB", (32, 24), (90, 90, 90)).save(tmp_path / "photos" / name, exif=exif)
    before = Image.open(tmp_path / "photos/north/a.jpg").tobytes()
    path = write_records(tmp_path / "p.jsonl", [
        predicted("north/a.jpg", mask), predicted("south 2/100MEDIA/B.JPG", 0 * mask)])
    write_xmp(path, tmp_path / "xmp")
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-r", "-ext", "jpg", "-tagsfromfile",
                    f"{tmp_path}/xmp/%d%f.%e.xmp", "-xmp:all", "."],
                   cwd=tmp_path / "photos", check=True)
    said = subprocess.run(
        ["exiftool", "-q", "-f", "-t", "-r", "-Directory", "-FileName", "-EXIF:DateTimeOriginal",
         "-HierarchicalSubject", "-ext", "jpg", tmp_path / "photos"],
        capture_output=True, text=True, check=True).stdout
    lines = [line.split("\t")[1] for line in said.splitlines()]
    found = {lines[row + 1]: (lines[row + 2], [
        tag.strip().split("|")[1] for tag in lines[row + 3].split(",")
        if tag.strip().split("|")[0] == "Species"]) for row in range(0, len(lines), 4)}
    assert found == {"a.jpg": ("2024:05:01 06:00:00", ["fox", "snow hare"]),
                     "B.JPG": ("2024:05:02 06:00:00", ["empty"])}
    assert Image.open(tmp_path / "photos/north/a.jpg").tobytes() == before
