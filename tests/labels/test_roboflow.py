"""import_labels.py roboflow."""

from conftest import error_line
from label_files import SQUARE, import_labels, write_coco, write_photos

from camera_trapinator.data.manifest import read_manifest


def test_a_roboflow_export_keeps_its_splits_and_groups_the_copies_of_a_source(tmp_path):
    copies = ["fox_jpg.rf.0a1b.jpg", "fox_jpg.rf.9c2d.jpg", "hare.v2_png.rf.77.jpg"]
    for folder, names in (("train", copies), ("valid", ["owl_jpg.rf.55.jpg"])):
        write_photos(tmp_path / "export" / folder, *names, size=(64, 48 + (folder == "valid")))
        write_coco(tmp_path / "export" / folder / "_annotations.coco.json", [
            {"id": place, "file_name": name, "width": 64, "height": 48}
            for place, name in enumerate(names)],
            [{"image_id": place, "segmentation": SQUARE} for place in range(len(names))])
    out = tmp_path / "out"
    result = import_labels("roboflow", tmp_path / "export", "--out", out)
    assert result.returncode == 0, result.stderr
    rows = {row.image.rpartition("/")[2]: row for row in read_manifest(out / "manifest.csv")}
    assert [rows[name].sequence for name in copies] == [
        "train/fox_jpg.jpg", "train/fox_jpg.jpg", "train/hare.v2_png.jpg"]
    assert {name: row.split for name, row in rows.items()} == {
        **dict.fromkeys(copies, "train"), "owl_jpg.rf.55.jpg": "test"}  # it has no test folder
    line = error_line(import_labels("roboflow", tmp_path, "--out", out))
    assert "COCO Segmentation" in line
