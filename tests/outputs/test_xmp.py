"""XMP sidecars: the species as keywords."""

import xml.etree.ElementTree as ElementTree

from prediction_records import FULL_INFO, predicted, with_box, write_records

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.xmp import write_xmp

DUBLIN, RDF = "{http://purl.org/dc/elements/1.1/}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def test_sidecars_hold_the_species_as_keywords(tmp_path):
    info = {**FULL_INFO, "classes": [{"name": name, "colour": [0, 0, 0]} for name in (
        "background", "fox & <hound>", "deer|roe/\x07")]}
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
    assert found["c.JPG.xmp"] == [["empty", "camera trap|empty", "camera trap/empty"], ["empty"]]
    assert found["a/b.jpg.xmp"][1] == ["fox & <hound>", "deer roe  "]
    assert "camera trap|deer roe  " in found["a/b.jpg.xmp"][0]
    assert len(found) == 2
