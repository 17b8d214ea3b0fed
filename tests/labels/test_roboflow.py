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


def part(folder, name, labels="_annotations.coco.json", **image):
    write_photos(folder / name, f"{name}_jpg.rf.0a.jpg", exif=name.encode())  # no two alike
    write_coco(folder / name / labels, [
        {"id": 0, "file_name": f"{name}_jpg.rf.0a.jpg", "width": 64, "height": 48, **image}],
        [{"image_id": 0, "segmentation": SQUARE}])


def test_parts_by_other_names_are_parts_too_and_none_is_left_out(tmp_path):
    for name in ("train", "val", "test"):
        part(tmp_path / "export", name)
    command = ["roboflow", tmp_path / "export", "--out", tmp_path / "out"]
    assert import_labels(*command).returncode == 0
    assert {row.split for row in read_manifest(tmp_path / "out/manifest.csv")} == {
        "train", "val", "test"}
    part(tmp_path / "export", "extra")
    assert "is extra train, valid or test?" in error_line(import_labels(*command, "--overwrite"))
    (tmp_path / "export/extra/_annotations.coco.json").unlink()
    (tmp_path / "export/val/_annotations.coco.json").unlink()
    assert "export/val: photos, but no _annotations" in error_line(
        import_labels(*command, "--overwrite"))


def test_the_time_of_the_export_is_no_time_of_a_photo(tmp_path):
    part(tmp_path / "export", "train", date_captured="2024-05-01T10:00:00+00:00")
    assert import_labels("roboflow", tmp_path / "export", "--out", tmp_path / "out").returncode == 0
    assert [row.datetime for row in read_manifest(tmp_path / "out/manifest.csv")] == [""]


def test_an_export_of_semantic_masks_says_how_it_is_imported(tmp_path):
    write_photos(tmp_path / "train", "a_jpg.rf.0a.jpg")
    (tmp_path / "train/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, fox\n")
    line = error_line(import_labels("roboflow", tmp_path, "--out", tmp_path / "out"))
    train = tmp_path / "train"
    assert (f"masks {train} --images {train} --colours {train}/_classes.csv --ending _mask.png"
            in line)
