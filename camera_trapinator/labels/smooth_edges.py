"""The smooth edges in colour-coded and grey masks: whose they are, and colours that are none.

A smooth edge blends the classes beside it, a few pixels wide, each pixel a little differently.
"""

from collections.abc import Container
from itertools import pairwise

import numpy as np
from scipy import ndimage

# These are signs that a colour is none, but a class that the table lacks:
THICKEST_EDGE = 4  # pixels; in a square wider than this there is no known colour
MANY_TIMES = 16  # pixels have exactly this colour (or 3 x 3 in one place), and it lies farther
OFF_BLEND = 24  # than so many steps of RGB from every blend of two colours that occur
MANY_EDGES = 0.1  # of the picture's pixels are unknown
# Values of grey, unlike colours, are often numbers of classes. Those between two known ones are
# edges only if these lie so many steps apart, and if there are so many of them:
FAR_APART, SEVERAL = 64, 3


def are_smooth(counts: dict[int, int], known: Container[int]) -> bool:
    """Whether the values of a grey picture (with the number of pixels of each) that are not `known`
    can be nothing but smooth edges between known ones that occur; whether they are edges, their
    places tell."""
    sure = sorted(value for value in counts if value in known and 0 <= value < 256)
    strange = {value: count for value, count in counts.items() if value not in known}
    between = min(counts) >= 0 and all(any(low < value < high and high - low >= FAR_APART
                                           for low, high in pairwise(sure)) for value in strange)
    most = max(strange.values())
    return (between and len(strange) >= SEVERAL
            and (most < MANY_TIMES or most <= sum(strange.values()) / 2))


def unknown_colours(codes: np.ndarray, places: np.ndarray, rows: np.ndarray, columns: np.ndarray,
                    blends: np.ndarray, colours: np.ndarray) -> dict[str, tuple[int, int, int]]:
    """The colours that are no smooth edge but of a class that the table lacks, the most frequent
    first: {`#rrggbb`: (how many pixels, row and column of the first)}.

    `codes`, uint32 (height, width), are the picture's colours as numbers; `places`, int16 (height,
    width), where they stand in `colours`, int32 (n, 3), -1 = nowhere. `rows` and `columns` (m,)
    are the pixels where it is -1, `blends`, int32 (m, 3), their colours.
    """
    found, first, counts = np.unique(codes[rows, columns], return_index=True, return_counts=True)
    wide = ndimage.minimum_filter(places < 0, THICKEST_EDGE + 1)
    around = np.pad(codes, 1, constant_values=0xFFFFFFFF)
    plain = np.logical_and.reduce([around[rows + down, columns + across] == codes[rows, columns]
                                   for down in range(3) for across in range(3)])
    occurring = colours[np.unique(places[places >= 0])]
    refused = np.isin(found, codes[wide]) | np.isin(found, codes[rows, columns][plain])
    for index in np.flatnonzero(~refused & (counts >= MANY_TIMES)):
        refused[index] = _distance_to_blends(blends[first[index]], occurring) > OFF_BLEND
    if len(rows) > MANY_EDGES * codes.size:
        refused[counts.argmax()] = True
    # Named are the most frequent one, and others that are no edges between the unknown classes.
    listed = sorted(np.flatnonzero(refused).tolist(), reverse=True,
                    key=lambda index: (counts[index], found[index]))[:20]
    unknown = {}
    for index in listed:
        if counts[index] >= min(MANY_TIMES, counts[listed[0]]):
            code = int(found[index])
            name = f"#{code & 0xFFFFFF:06x}{' half transparent' if code >> 24 else ''}"
            count, place = unknown.get(name, (0, first[index]))[:2]
            place = min(place, first[index])  # one colour at several opacities
            unknown[name] = (count + int(counts[index]), place)
    return {name: (count, int(rows[place]), int(columns[place]))
            for name, (count, place) in unknown.items()}


def _distance_to_blends(colour: np.ndarray, colours: np.ndarray) -> float:
    """How far a colour is from the nearest blend of two of `colours` (places, 3).

    Some programs blend the stored numbers, others the light that they stand for.
    """
    distances = []
    for gamma in (1, 2.2):
        blend, known = (255 * (values / 255) ** gamma for values in (colour, colours))
        starts, along = known[:, None], known[None] - known[:, None]
        share = ((blend - starts) * along).sum(axis=-1) / np.maximum((along**2).sum(axis=-1), 1)
        nearest = starts + share.clip(0, 1)[..., None] * along
        distances.append(np.sqrt(((blend - nearest) ** 2).sum(axis=-1)).min(initial=np.inf))
    return float(min(distances))


def nearest_neighbour(places: np.ndarray, rows: np.ndarray, columns: np.ndarray,
                      blends: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """For pixels of smooth edges the nearest of the colours that touch them, else come close.

    Of those alone: half way from black to magenta lies a purple that may be nearer to the colour
    of a third class. The arguments are those of `unknown_colours`; returns places, int16 (m,).
    """
    best = np.full(len(rows), -1, np.int16)
    least = np.full(len(rows), np.iinfo(np.int32).max, np.int32)
    for reach in range(1, THICKEST_EDGE + 1):
        left = np.flatnonzero(best < 0)
        if not len(left):
            break
        around = np.pad(places, reach, constant_values=-1)
        for down in range(2 * reach + 1):
            for across in range(2 * reach + 1):
                place = around[rows[left] + down, columns[left] + across]
                distance = ((blends[left] - colours[place]) ** 2).sum(axis=1)
                closer = (place >= 0) & (distance < least[left])
                best[left[closer]], least[left[closer]] = place[closer], distance[closer]
    return best
