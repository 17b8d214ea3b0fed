"""The rules of MegaDetector's file format, as its validator has them."""



def check_megadetector(content: dict) -> None:
    """The rules of the official validator, format 1.6, and those of Timelapse's reader."""
    info = content["info"]
    assert info["format_version"] == "1.6" and info["detector"].strip()
    for name in ("typical_detection_threshold", "conservative_detection_threshold"):
        assert type(info["detector_metadata"][name]) is float
        assert 0 <= info["detector_metadata"][name] <= 1
    categories = content["detection_categories"]
    species = content.get("classification_categories", {})
    for key, name in [*categories.items(), *species.items()]:
        assert key.isdigit() and key != "0" and name.strip()  # Timelapse: 0 is always Empty
    # A name in both lists makes Timelapse take the file for AddaxAI's.
    assert not {name.lower() for name in categories.values()} & {
        name.lower() for name in species.values()}
    files = [image["file"] for image in content["images"]]
    assert len(set(files)) == len(files)
    for image in content["images"]:
        assert not image["file"].startswith(("/", "./", "~"))
        if image.get("failure"):
            assert image["detections"] is None
            continue
        assert "failure" not in image
        for detection in image["detections"]:
            assert detection["category"] in categories
            assert type(detection["conf"]) is float and 0 <= detection["conf"] <= 1
            x, y, width, height = detection["bbox"]
            assert all(type(value) is float for value in detection["bbox"])
            assert min(x, y, width, height) >= 0 and x + width <= 1 and y + height <= 1
            sure = [share for _, share in detection.get("classifications", [])]
            assert all(key in species for key, _ in detection.get("classifications", []))
            assert all(type(share) is float and 0 <= share <= 1 for share in sure)
            assert sure == sorted(sure, reverse=True)
