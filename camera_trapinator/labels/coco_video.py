"""COCO for videos (SA-FARI, SA-Co, YouTube-VIS): a JSON file with `videos` and their frames.

An annotation is one animal through a video, with a segmentation for each frame: run lengths or
polygons as of COCO, or null (or no pixel) where it is not to be seen. The frames are the photos,
the video is their sequence. A frame with a box alone outlines nothing.
Sources: youtube-vos.org/dataset/vis; facebookresearch/sam3, scripts/eval/veval.
"""

from .. import InputError
from ..data.photos import parse_datetime
from ..data.progress import progress
from ..data.rle import decode_runs
from .exports import objects, pixels_along, read_json
from .outlines import box_of, category_names, id_of, rings, run_lengths
from .shapes import LabelledPhoto, Labels, Shape
from .source import Source

Frames = list[LabelledPhoto | None]  # None: not there, or not sound


def read_coco_video(source: Source, crowd: str = "ignore") -> Labels:
    """The labels of a file for videos. `crowd`: as of `read_coco`."""
    path, content = source.path, read_json(source.path)
    films, categories, annotations = (objects(content, key, path, "COCO file for videos")
                                      for key in ("videos", "categories", "annotations"))
    names, videos = category_names(categories, source), {}
    for item in progress(films, "reading", unit="videos"):
        with source.noted():
            key = id_of(item, f"{path}, video")
            if key in videos:
                raise InputError(f"{path}, video {key}: two videos have this id")
            videos[key] = []
            videos[key] = _frames(item, source, f"{path}, video {key}")
    for item in progress(annotations, "reading", unit="annotations"):
        with source.noted():
            where = f"{path}, annotation {id_of(item, f'{path}, annotation')}"
            video, category = str(item.get("video_id")), str(item.get("category_id"))
            if video not in videos or category not in names:
                raise InputError(f"{where}: video_id {item.get('video_id')!r:.40} or category_id "
                                 f"{item.get('category_id')!r:.40} is not in the file")
            if videos[video]:
                ignored = crowd == "ignore" and item.get("iscrowd") == 1
                _add(item, None if ignored else names[category], videos[video], source, where)
    photos = [photo for frames in videos.values() for photo in frames if photo is not None]
    return source.labels(photos)


def _frames(item: dict, source: Source, where: str) -> Frames:
    files = item.get("file_names")
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files) or not files:
        raise InputError(f"{where}: file_names {files!r:.40} is no list of the frames; cut them "
                         "out of the video and name them there (where they stand under `images`, "
                         "import the file with coco)")
    sequence = str(item.get("video_name") or item["id"])
    time = parse_datetime(str(item.get("video_creation_datetime") or ""))
    location = item.get("location", item.get("location_id", ""))
    if type(location) not in (int, str):
        raise InputError(f"{where}: location {location!r:.40} is neither number nor text")
    frames: Frames = []
    for number, file in enumerate(files):
        photo = None
        with source.noted():
            photo = source.photo(file, f"{where}, frame {number}")
            if photo is not None:
                photo.width, photo.height = (pixels_along(item, key, where)
                                             for key in ("width", "height"))
                photo.sequence, photo.datetime = sequence, time
                photo.location = str(location).strip()
        frames.append(photo)
    return frames


def _add(item: dict, name: str | None, frames: Frames, source: Source, where: str) -> None:
    """Give each frame what an annotation says of it."""
    segmentations, boxes = item.get("segmentations"), item.get("bboxes") or [None] * len(frames)
    for key, value in (("segmentations", segmentations), ("bboxes", boxes)):
        if not isinstance(value, list) or len(value) != len(frames):
            raise InputError(f"{where}: {key} {value!r:.40} is no list of one for each of the "
                             f"{len(frames)} frames")
    for number, (photo, segmentation, box) in enumerate(zip(frames, segmentations, boxes,
                                                            strict=True)):
        place = f"{where}, frame {number}"
        with source.noted():
            if photo is None:
                continue
            if isinstance(segmentation, dict):
                rle = run_lengths(segmentation, photo, place)
                if len(decode_runs(rle).starts):  # without a pixel it means the same as null
                    photo.shapes.append(Shape(name, rle=rle, where=place))
            elif isinstance(segmentation, list) and segmentation:
                photo.shapes.append(Shape(name, polygons=rings(segmentation, place), where=place))
            elif segmentation not in (None, []):
                raise InputError(f"{place}: segmentation {segmentation!r:.40} is neither run "
                                 "lengths nor polygons nor null")
            elif box is not None and box != [] and box != [0, 0, 0, 0]:
                photo.boxes.append(box_of(box, place))
