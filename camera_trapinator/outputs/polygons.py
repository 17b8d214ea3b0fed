"""The outlines of masks as COCO's polygons, exact to the pixel, traced along the pixels' edges.

What pycocotools makes of them is the very mask: it fills a ring by the rule of even and odd, and
takes the union of several. So a part whose pixels share edges is one ring, each of its holes
joined to it by a cut, a line that goes there and back; parts that touch only in a corner, and
islands in holes, are rings of their own.
Source: cocoapi, common/maskApi.c (`rleFrPoly`), which sees a column of pixels at its middle.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..data.rle import Runs, decode_runs


def polygons_of(rle: dict) -> list[list[int]]:
    """The rings [x, y, x, y, ...] of a COCO run-length encoding, clockwise, from 0 to its width and
    height; at least four corners each, the highest ring first. The work grows with the corners,
    not with the pixels."""
    edges = _edges(decode_runs(rle), rle["size"])
    if not len(edges.y):
        return []
    behind = _next_edges(edges)
    places = np.arange(len(behind))
    count, ring = connected_components(
        coo_array((np.ones(len(behind), bool), (places, behind)), (len(behind),) * 2),
        directed=False)
    # Twice the area would be the same with the vertical edges; a hole is run around the other way.
    steps = np.where(edges.top, edges.right - edges.left, edges.left - edges.right)
    is_hole = np.bincount(ring, -1.0 * edges.y * steps, count) < 0
    # The highest edge of each ring, of those the leftmost.
    order = np.lexsort((edges.left, edges.y, ring))
    first = order[np.searchsorted(ring[order], np.arange(count))]
    starts = np.sort(first[~is_hole])
    return _walk(*_corners(edges, behind, first[is_hole]), starts)


class _Edges(NamedTuple):
    """The horizontal edges between mask and background, (n,) each, as long as they are straight."""

    left: np.ndarray
    right: np.ndarray
    y: np.ndarray
    top: np.ndarray  # bool: whether the mask lies below; those are walked to the right, others left
    above: np.ndarray  # of those with the mask above: the edge at the head of their leftmost column


def _edges(runs: Runs, size: Sequence[int]) -> _Edges:
    """Each run has an edge at its head and one at its foot, one column wide; those that go on in
    the next column are one."""
    column, head = np.divmod(runs.starts, size[0])
    foot = head + runs.ends - runs.starts
    number = len(column)
    x, y = np.tile(column, 2), np.concatenate([head, foot])
    top = np.repeat([True, False], number)
    order = np.lexsort((x, y, top))
    x, y, top = x[order], y[order], top[order]
    begins = np.ones(len(x), bool)
    begins[1:] = (np.diff(x) != 1) | (np.diff(y) != 0) | (top[1:] != top[:-1])
    merged = np.empty(len(x), int)
    merged[order] = begins.cumsum() - 1
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(x)) - 1 if len(x) else first
    run = order[first] % max(number, 1)
    return _Edges(x[first], x[last] + 1, y[first], top[first], merged[run])


def _next_edges(edges: _Edges) -> np.ndarray:
    """The edge that follows on each one along its outline, int (n,)."""
    number = len(edges.y)
    x, y = np.concatenate([edges.left, edges.right]), np.tile(edges.y, 2)
    # Down each line between two columns, vertical edges lie between the first corner and the
    # second, the third and the fourth ... Where two pixels touch in a corner, it is there twice,
    # and the upper pixel's comes first: so they are not joined.
    order = np.lexsort((np.tile(edges.top, 2), y, x))
    partner = np.empty(2 * number, int)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    places = np.arange(number)
    return partner[np.where(edges.top, number + places, places)] % number


def _corners(edges: _Edges, behind: np.ndarray, holes: np.ndarray,
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and the next one of each corner, int (m,), when each hole is joined to the outline above
    it. `holes`: the highest and leftmost edge of each. Corner `edge` is where it begins, and
    `number of edges + edge` where it ends; behind those come two for each hole, its cut's.
    """
    number, cuts = len(edges.y), len(holes)
    target, x = edges.above[holes], edges.left[holes]
    order = np.lexsort((-x, target))  # several that hang on one edge: from right to left
    holes, target, x = holes[order], target[order], x[order]
    begin = np.where(edges.top, edges.left, edges.right)
    end = np.where(edges.top, edges.right, edges.left)
    following = np.concatenate([number + np.arange(number), behind, np.zeros(2 * cuts, int)])
    down, up = 2 * number + np.arange(cuts), 2 * number + cuts + np.arange(cuts)
    # From the edge above down the cut to the corner behind the hole's, around, and up again. The
    # cut goes on along the hole's left side: its upper left corner is none on the way down.
    following[down] = behind[holes]
    following[number + holes] = up
    same = np.zeros(cuts, bool)  # whether the next one hangs on the same edge
    same[1:] = target[1:] == target[:-1]
    following[up] = number + target
    following[up[1:][same[1:]]] = down[:-1][same[1:]]
    last = ~np.append(same[1:], False)[:cuts]
    following[target[last]] = down[last]
    return (np.concatenate([begin, end, x, x]),
            np.concatenate([edges.y, edges.y, edges.y[target], edges.y[target]]), following)


def _walk(x: np.ndarray, y: np.ndarray, following: np.ndarray, starts: np.ndarray,
          ) -> list[list[int]]:
    """The ring through each corner of `starts`, as COCO has it; a corner at the place of the one
    before is left out."""
    next_of, rings = following.tolist(), []
    for start in starts.tolist():
        ring, corner = [start], next_of[start]
        while corner != start:
            ring.append(corner)
            corner = next_of[corner]
        points = np.stack([x[ring], y[ring]], axis=1)
        moved = (points != np.roll(points, 1, axis=0)).any(axis=1)
        rings.append(points[moved].ravel().tolist())
    return rings
