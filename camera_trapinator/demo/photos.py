"""One photo: the animals put into their scene, lit, seen by the sensor, written with its mask."""

import math
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from .animals import CLASSES
from .bursts import Burst, act, is_night, plan_burst
from .cameras import Shot, camera_of, draw_strip
from .light import add_eye_shine, cast_shadows, light_by_flash, light_by_sun
from .painting import Sprite, to_image
from .scenes import NO_DISTANCE, Scene, build_scene

# Longest side that is drawn; larger photos are enlarged from it. Where animals have a tenth of
# their size it is ten times as long: they shall keep their shape.
DRAWN_SIDE = 1280


def make_photo(shot: Shot, out: Path, seed: int, size: tuple[int, int], animal_size: float,
               sideways: int) -> bool:
    """Write one photo, its distances, and its mask where an animal is seen; true if one is."""
    photo, mask, distances = render(seed, shot, *drawn_size(*size, animal_size), animal_size)
    camera, night = camera_of(shot.location), is_night(shot.time)
    random = np.random.default_rng([seed, shot.location, shot.sequence + 1, shot.frame + 1, 1])
    grain = random.uniform(2, 5) if night else random.uniform(1, 3)
    if photo.size != size:  # many small pixels: more noise in each
        photo, grain = photo.resize(size, Image.Resampling.BICUBIC), 2.4 * grain
    photo = add_grain(photo, grain, random)
    if night:  # one sensor value for all three channels
        photo = photo.convert("L").convert("RGB")
    tall = draw_strip(photo, camera, shot)
    hidden = math.ceil(tall * mask.shape[0] / photo.height)
    strip = np.s_[:hidden] if camera.strip == "top" else np.s_[-hidden:]
    mask[strip], distances[strip] = 0, NO_DISTANCE

    exif = photo.getexif()
    exif[271], exif[272] = camera.name, camera.model
    exif[306] = exif.get_ifd(0x8769)[36867] = f"{shot.time:%Y:%m:%d %H:%M:%S}"
    if shot.location == sideways:
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[274] = 6  # "turn me clockwise to see me upright"
    path = out / shot.image
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=88, exif=exif)
    if shot.distances:
        (out / shot.distances).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(distances).save(out / shot.distances, compress_level=1)
    if not mask.any() or not shot.mask:
        return False
    picture = Image.fromarray(mask)
    picture.putpalette(bytes(value for _, colour in CLASSES for value in colour))
    (out / shot.mask).parent.mkdir(parents=True, exist_ok=True)
    picture.save(out / shot.mask)
    return True


def drawn_size(width: int, height: int, animal_size: float) -> tuple[int, int]:
    """The size that is drawn for a photo: its own, or a smaller one."""
    longest = round(DRAWN_SIDE / animal_size)
    if max(width, height) <= longest:
        return width, height
    unit = math.gcd(width, height)
    width, height = width // unit, height // unit
    if max(width, height) <= longest // 2:  # the very same aspect ratio
        factor = longest // max(width, height)
        return width * factor, height * factor
    factor = longest / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def add_grain(photo: Image.Image, grain: float, random: np.random.Generator) -> Image.Image:
    """The noise of the sensor, at the photo's full size."""
    side = min(1024, max(photo.size))
    tile = (random.standard_normal((side, side, 3), np.float32) * grain).round().astype(np.int16)
    times = (photo.height // side + 1, photo.width // side + 1, 1)
    noisy = np.tile(tile, times)[:photo.height, :photo.width]
    noisy += np.asarray(photo)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def render(seed: int, shot: Shot, width: int, height: int, animal_size: float,
           ) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """One upright photo of the given size without info strip, its mask uint8 (H, W) and its
    distances uint16 (H, W) in centimetres; `animal_size` is 1 for animals of their own size."""
    scene = build_scene(seed, shot.location, width, height)
    burst_key = [seed, shot.location, shot.sequence + 1]
    burst = plan_burst(np.random.default_rng(burst_key), scene, shot.species, shot.time)
    random = np.random.default_rng([*burst_key, shot.frame + 1])
    animals = [act(actor, shot, scene, burst, animal_size, random) for actor in burst.actors]
    picture, nearness, cover, of_species, distances = compose(scene, animals, burst, random)
    shadow = cast_shadows(scene, animals, burst)
    pixels = np.asarray(picture, np.float32) / 255
    if burst.night:
        pixels = light_by_flash(pixels, nearness, np.asarray(cover, np.float32) / 255, burst)
        add_eye_shine(pixels, animals, cover, animal_size, random)
    else:
        pixels = light_by_sun(pixels, nearness, shadow, scene, burst, burst_key, shot.frame, random)

    # The camera sways with its tree: crop the photo from the larger picture, slightly turned.
    shift = burst.sway + random.normal(0, 0.5, 2) * scene.width / 640
    shift = scene.margin + shift.clip(-0.8 * scene.margin, 0.8 * scene.margin)
    angle = 0.002 * float(random.normal())
    window = (1, angle, shift[0], -angle, 1, shift[1])
    crop = partial(Image.Image.transform, size=(width, height), method=Image.Transform.AFFINE,
                   data=window, resample=Image.Resampling.BILINEAR)
    mask = (np.asarray(crop(cover)) >= 128).astype(np.uint8)
    if of_species:
        shares = [np.asarray(crop(share)) for share in of_species.values()]
        mask *= np.array(list(of_species), np.uint8)[np.argmax(shares, axis=0)]
    distances = crop(distances, resample=Image.Resampling.NEAREST)  # two do not mix to a third
    return crop(to_image(pixels * 255)), mask, np.asarray(distances).astype(np.uint16)


def compose(scene: Scene, animals: list[Sprite], burst: Burst, random: np.random.Generator,
            ) -> tuple[Image.Image, np.ndarray, Image.Image, dict[int, Image.Image], Image.Image]:
    """Put everything into the scene from far to near: colours, nearness, the animals' cover, that
    of each species and distances."""
    picture = blow(scene, burst.wind, random)
    depth = to_image(scene.nearness * 200)
    cover, distances = Image.new("L", picture.size), Image.fromarray(scene.distances)
    of_species = {sprite.species: cover.copy() for sprite in animals}
    solid = [0] * 128 + [255] * 128  # what counts as covered
    reach = scene.height + scene.margin - scene.horizon
    swinging = random.normal(0, 1) * burst.wind
    for sprite in sorted([*scene.sprites, *animals], key=lambda sprite: sprite.y):
        colour, outline = sprite.colour, sprite.cover
        if sprite.sway:
            bend = sprite.sway * (swinging + 0.5 * burst.wind * random.normal())
            shear = (1, bend, -bend * sprite.anchor[1], 0, 1, 0)
            colour, outline = (part.transform(part.size, Image.Transform.AFFINE, shear,
                                              Image.Resampling.BILINEAR)
                               for part in (colour, outline))
        corner = (round(sprite.x - sprite.anchor[0]), round(sprite.y - sprite.anchor[1]))
        box = (*corner, corner[0] + colour.width, corner[1] + colour.height)
        near = (sprite.y - scene.horizon + scene.slope * (sprite.x - picture.width / 2)) / reach
        picture.paste(colour, corner, outline)
        depth.paste(int(np.clip(near, 0.05, 1.2) * 200), box, outline)
        cover.paste(255 if sprite.species else 0, box, outline)
        for species, share in of_species.items():
            share.paste(255 if sprite.species == species else 0, box, outline)
        distances.paste(int(scene.distance(sprite.y, sprite.x)), box, outline.point(solid, "1"))
    return picture, np.asarray(depth, np.float32) / 200, cover, of_species, distances


def blow(scene: Scene, wind: float, random: np.random.Generator) -> Image.Image:
    """The ground picture with all that is far moved a little by the wind."""
    columns = np.linspace(0, scene.ground.width, 13).astype(int)
    rows = np.linspace(0, scene.ground.height, 10).astype(int)
    moves = random.normal(0, 1.3 * wind * scene.width / 640, (10, 13, 2))
    moves[rows > scene.horizon] *= 0.25  # the ground itself lies still, its grass does not
    corners = np.stack(np.meshgrid(columns, rows), -1) + moves
    mesh = []
    for i in range(9):
        for j in range(12):
            quad = np.concatenate([corners[i, j], corners[i + 1, j], corners[i + 1, j + 1],
                                   corners[i, j + 1]])
            mesh.append(((columns[j], rows[i], columns[j + 1], rows[i + 1]), tuple(quad)))
    return scene.ground.transform(scene.ground.size, Image.Transform.MESH, mesh,
                                  Image.Resampling.BILINEAR)
