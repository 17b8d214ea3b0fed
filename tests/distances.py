"""A small data root of photos and the distance at each pixel, for tests of regression."""

import numpy as np
from conftest import QUICK
from PIL import Image

from camera_trapinator.data.manifest import Row, write_manifest


def make_distances(root, locations=6, photos=6):
    """A data root whose photos are the brighter, the nearer: maps in cm, 65535 in a strip."""
    rows = []
    for location in range(locations):
        for number in range(photos):
            random = np.random.default_rng([location, number])
            rows_, columns = np.mgrid[:48, :64]
            metres = (2 + 0.1 * rows_ + 0.1 * columns * random.random()).astype(np.float32)
            for _ in range(4):  # so many that no two photos are alike
                y, x, size = random.integers(0, 36), random.integers(0, 52), random.integers(6, 14)
                metres[y:y + size, x:x + size] = random.uniform(1, 12)
            grey = (255 - 18 * metres + random.normal(0, 3, metres.shape)).clip(0, 255)
            image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
            stored = np.rint(100 * metres).astype(np.uint16)
            stored[-4:], image[-4:] = 65535, 0
            name = f"site{location}/IMG_{number}"
            for folder in ("photos", "maps"):
                (root / folder / f"site{location}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / f"photos/{name}.jpg", quality=95)
            Image.fromarray(stored).save(root / f"maps/{name}.png")
            rows.append(Row(f"photos/{name}.jpg", f"maps/{name}.png", f"site{location}",
                            f"2024-05-01 10:{number:02}:00", f"site{location}#{number}"))
    write_manifest(root / "distance.csv", rows)
    return root


def knobs(root) -> list[str]:
    return [f"data_root={root}", "manifest=distance.csv", "task=regression",
            "quantity=distance (m)", "target_scale=0.01", "loss=least_squares",
            "scale_range=1,1", "brightness=0", "contrast=0", "colour=0", "blur=0", "noise=2",
            *QUICK]
