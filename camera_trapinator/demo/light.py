"""The light in a photo: sun and shadows by day, the infrared flash and eyes by night."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .bursts import Burst
from .painting import Sprite, noise, soft_step
from .scenes import Scene


def cast_shadows(scene: Scene, animals: list[Sprite], burst: Burst) -> np.ndarray:
    """Shade float (H, W), 0 to 1, of all that stands on the ground; it turns with the sun."""
    shadow = Image.new("L", [side // 2 for side in scene.ground.size])
    pen = ImageDraw.Draw(shadow)
    for sprite in [*scene.sprites, *animals]:
        if not sprite.width:
            continue
        long = min(sprite.tall, scene.height) * (1.3 - burst.sun_height)
        dx, dy = -burst.sun_side * long, 0.12 * long + 0.04 * sprite.width
        half, x, y = sprite.width * 0.42, sprite.x, sprite.y
        pen.polygon([(x / 2, y / 2) for x, y in (
            (x - half, y), (x + half, y), (x + half + dx, y + dy), (x - half + dx, y + dy))],
            fill=200)
        pen.ellipse([(x - half) / 2, y / 2 - 0.09 * half, (x + half) / 2, y / 2 + 0.09 * half],
                    fill=255)
    shadow = shadow.filter(ImageFilter.GaussianBlur(scene.width / 320)).resize(scene.ground.size)
    return np.asarray(shadow, np.float32) / 255


def light_by_sun(pixels: np.ndarray, nearness: np.ndarray, shadow: np.ndarray, scene: Scene,
                 burst: Burst, burst_key: list[int], frame: int, random: np.random.Generator,
                 ) -> np.ndarray:
    """Sun, shade of leaves and clouds, haze, exposure and white balance of a day photo."""
    height, width = nearness.shape
    # The shade of the leaves is the same in a burst, but it moves a little.
    steady = np.random.default_rng([*burst_key, 0, 1])
    leaves = noise(steady, height, width + 24, burst.dapple[0], 4)
    leaves = leaves[:, 8 * frame: 8 * frame + width] + 0.12 * random.normal()
    open_sky = soft_step(leaves + burst.dapple[1] + 1.1 - 1.5 * scene.shelter, -0.45, 0.45)
    lit = burst.sun * open_sky * (1 - 0.85 * shadow) * (1 + 0.08 * random.normal())
    warm = np.array((1.08, 1.0, 0.86), np.float32)
    cool = np.array((0.94, 1.0, 1.10), np.float32)
    light = burst.ambient * (1 - 0.3 * shadow[..., None]) * cool + lit[..., None] * warm
    sky = (nearness < 0.01)[..., None]
    level = burst.ambient + 0.6 * burst.sun
    clouds = 1 + 0.12 * noise(random, height, width, width / 5)[..., None]
    pixels = np.where(sky, pixels * level * 1.25 * clouds, pixels * light)
    veil = burst.haze * np.exp(-nearness / 0.12)[..., None]
    pixels = pixels * (1 - 0.75 * veil) + 0.62 * level * 0.75 * veil
    ground = pixels[~sky[..., 0]].mean()
    pixels = pixels * (burst.exposure / ground) * burst.balance.astype(np.float32)
    pixels = 0.4 + (pixels - 0.4) * burst.contrast
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * burst.saturation
    # Highlights fade out softly, as in a real sensor's curve.
    return np.where(pixels > 0.6, 1 - 0.4 * np.exp(-(pixels.clip(0.6) - 0.6) / 0.4), pixels)


def light_by_flash(pixels: np.ndarray, nearness: np.ndarray, cover: np.ndarray, burst: Burst,
                   ) -> np.ndarray:
    """Infrared flash: grey, bright where near, dark in the corners."""
    height, width = nearness.shape
    grey = pixels @ np.array((0.6, 0.3, 0.1), np.float32)  # red fur is bright in infrared
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    beam = np.exp(-0.75 * (rows**2 + columns**2)).astype(np.float32)
    flash = beam * np.minimum(nearness, 1.0) ** burst.fall_off
    grey = 0.03 + grey**0.8 * (1 + 0.5 * cover) * flash
    grey = grey * (0.95 * burst.exposure / grey.mean())
    grey = 1 - np.exp(-1.15 * grey)
    return np.stack([grey, grey * 0.995, grey], -1)


def add_eye_shine(pixels: np.ndarray, animals: list[Sprite], cover: Image.Image, size: float,
                  random: np.random.Generator) -> None:
    """Eyes throw the flash back, unless something hides them."""
    height, width = pixels.shape[:2]
    for animal in animals:
        x = animal.x - animal.anchor[0] + animal.eye[0]
        y = animal.y - animal.anchor[1] + animal.eye[1]
        if random.random() < 0.3 or not (0 <= x < width and 0 <= y < height):
            continue
        if cover.getpixel((int(x), int(y))) < 128:
            continue
        squares = ((np.arange(height)[:, None] - y) ** 2 + (np.arange(width)[None] - x) ** 2)
        radius = 0.0042 * width * size
        pixels += (0.9 * np.exp(-squares / radius**2) + 0.12 * np.exp(-squares / (4 * radius)**2)
                   )[..., None]
