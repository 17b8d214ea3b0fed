"""What a file is, by its first bytes: its name may say anything.

Signatures: https://en.wikipedia.org/wiki/List_of_file_signatures, and the formats' own pages.
"""

import io
import re
import zipfile
from pathlib import PurePosixPath

PHOTO, WEIGHTS, DATA, POINTER, TEXT, OTHER = "photo", "weights", "data", "lfs", "text", "other"

STARTS = {  # the first bytes: what it is
    b"\xff\xd8\xff": (PHOTO, "JPEG"), b"\x89PNG\r\n\x1a\n": (PHOTO, "PNG"),
    b"GIF8": (PHOTO, "GIF"), b"8BPS": (PHOTO, "Photoshop"), b"FOVb": (PHOTO, "raw, X3F"),
    b"II*\0": (PHOTO, "TIFF or raw"), b"MM\0*": (PHOTO, "TIFF or raw"),
    b"II+\0": (PHOTO, "BigTIFF"), b"MM\0+": (PHOTO, "BigTIFF"), b"IIU\0": (PHOTO, "raw, RW2"),
    b"IIRO": (PHOTO, "raw, ORF"), b"IIRS": (PHOTO, "raw, ORF"), b"MMOR": (PHOTO, "raw, ORF"),
    b"FUJIFILMCCD-RAW": (PHOTO, "raw, RAF"), b"\0MRM": (PHOTO, "raw, MRW"),
    b"\0\0\0\x0cjP  ": (PHOTO, "JPEG 2000"), b"\xff\x4f\xff\x51": (PHOTO, "JPEG 2000"),
    b"\xff\x0a": (PHOTO, "JPEG XL"), b"\0\0\0\x0cJXL ": (PHOTO, "JPEG XL"),
    b"\x1aE\xdf\xa3": (PHOTO, "Matroska or WebM video"), b"0&\xb2u\x8ef\xcf\x11": (PHOTO, "video"),
    b"\0\0\x01\xba": (PHOTO, "MPEG video"),
    b"\x89HDF\r\n\x1a\n": (WEIGHTS, "HDF5"), b"\x93NUMPY": (WEIGHTS, "numpy array"),
    b"GGUF": (WEIGHTS, "GGUF"), b"\x1f\x8b": (DATA, "gzip archive"), b"BZh": (DATA, "archive"),
    b"\xfd7zXZ\0": (DATA, "archive"), b"7z\xbc\xaf\x27\x1c": (DATA, "archive"),
    b"Rar!\x1a\x07": (DATA, "archive"), b"\x28\xb5\x2f\xfd": (DATA, "archive"),
    b"SQLite format 3\0": (DATA, "SQLite database or GeoPackage"), b"PAR1": (DATA, "Parquet table"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (DATA, "old Excel or Word file"),
    b"\0\0\x27\x0a\0\0": (DATA, "shapefile"), b"ARROW1": (DATA, "Feather table"),
    b"\0\x01\0\0Standard": (DATA, "Access database"),
}
PICTURE_BRANDS = re.compile(rb"hei[cxms]|hev[cxms]|mif1|msf1|avif|avis|crx ")  # HEIC, AVIF, CR3
RIFF = {b"WEBP": "WebP", b"AVI ": "AVI video"}
FLAT = {b"ET12": "ExecuTorch", b"TFL3": "TensorFlow Lite"}  # flatbuffers: at byte 4
ONNX = re.compile(rb"\x08[\x01-\x1f](?:\x12.[\w .-]+|\x1a.|[\x22\x3a\x42])", re.DOTALL)
PICKLE = re.compile(rb"\x80[\x02-\x05](?:[}\]\x8ac(X\x8c\x95])")
POINTER_START = b"version https://git-lfs.github.com/spec/"
# By name, whatever is in it.
WEIGHT_NAMES = (".pt", ".pth", ".ckpt", ".onnx", ".pte", ".ptl", ".safetensors", ".h5", ".hdf5",
                ".keras", ".npz", ".npy", ".tflite", ".mlmodel", ".gguf", ".caffemodel", ".pkl",
                ".pickle", ".joblib", ".torchscript")
DATA_NAMES = (".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".xlsx", ".xls", ".ods", ".rds",
              ".rdata", ".sqlite", ".db", ".gpkg", ".shp", ".dbf", ".parquet", ".feather")
MARKS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def kind_of(path: str, content: bytes) -> tuple[str, str]:
    """(photo, weights, data, lfs, text or other; what it is in words) of a file.

    `content`: all of it, or so many of its first bytes. "photo" is every picture and video, "data"
    what tables and photos are packed into and cannot be looked into here, "lfs" a pointer to a file
    that Git LFS keeps elsewhere, "other" binary and none of these.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if content.startswith(POINTER_START):
        return POINTER, "pointer of Git LFS"
    for start, kind in STARTS.items():
        if content.startswith(start) and (len(start) > 3 or b"\0" in content[:8000]):
            return kind
    if content[4:8] == b"ftyp":
        return PHOTO, "HEIC, AVIF or raw" if PICTURE_BRANDS.match(content, 8) else "video"
    if content.startswith(b"RIFF") and content[8:12] in RIFF:
        return PHOTO, RIFF[content[8:12]]
    if content.startswith(b"BM") and content[6:10] == b"\0\0\0\0":
        return PHOTO, "BMP"
    if content.startswith(b"PK\x03\x04"):
        return _zipped(content, suffix)
    if content[4:8] in FLAT:
        return WEIGHTS, FLAT[content[4:8]]
    if content[8:10] == b'{"' and int.from_bytes(content[:8], "little") < 10**8:
        return WEIGHTS, "safetensors"
    binary = b"\0" in content[:8000] and not content.startswith(MARKS_OF_UTF_16)
    if suffix in WEIGHT_NAMES:
        return WEIGHTS, f"named {suffix}"
    if PICKLE.match(content):
        return WEIGHTS, "pickle"
    if binary and content[257:262] == b"ustar":
        return DATA, "tar archive"
    if binary and ONNX.match(content):
        return WEIGHTS, "ONNX"
    if suffix in DATA_NAMES and content:
        return DATA, f"named {suffix}"
    return (OTHER, "binary file") if binary else (TEXT, "text")


def _zipped(content: bytes, suffix: str) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        names = []  # damaged, or longer than what is looked into
    if suffix == ".npz" or (names and all(name.endswith(".npy") for name in names)):
        return WEIGHTS, "numpy arrays"
    if suffix in WEIGHT_NAMES or any(
            name.endswith(("data.pkl", "constants.pkl", ".weights.h5")) for name in names):
        return WEIGHTS, "PyTorch or Keras"
    if any(name.startswith("xl/") for name in names):
        return DATA, "Excel file"
    return DATA, "zip archive or office document"


def as_text(content: bytes) -> str:
    """The text of a file: UTF-16 where its mark says so, else UTF-8."""
    if content.startswith(MARKS_OF_UTF_16):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="surrogateescape")
