"""Pictures of 16 or more bits a channel, which Pillow does not write in colour."""

import struct
import zlib


def deep_png(path, values):
    """A PNG of 16 bits a channel, as its standard has it."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(
            ">I", zlib.crc32(name + data))
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {2: 4, 3: 2, 4: 6}[channels]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def deep_tiff(path, values, order="<", packed=False, planes=False, floats=False, turn=1):
    """A TIFF of 16 or more bits a channel, as its standard has it."""
    height, width, channels = values.shape
    parts = list(values.transpose(2, 0, 1)) if planes else [values]
    parts = [part.astype(values.dtype.newbyteorder(order)).tobytes() for part in parts]
    parts = [zlib.compress(part) for part in parts] if packed else parts
    file = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    places = []
    for part in parts:
        places.append(len(file))
        file += part
    entries = b""
    tags = [(256, "I", [width]), (257, "I", [height]),
            (258, "H", [values.itemsize * 8] * channels), (259, "H", [8 if packed else 1]),
            (262, "H", [2]), (273, "I", places), (274, "H", [turn]), (277, "H", [channels]),
            (278, "I", [height]), (279, "I", list(map(len, parts))),
            (284, "H", [1 + planes]), *([(338, "H", [2])] if channels == 4 else []),
            (339, "H", [3 if floats else 1] * channels)]
    for tag, kind, numbers in tags:
        data = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        if len(data) > 4:
            data, place = struct.pack(f"{order}I", len(file)), data
            file += place
        entries += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(numbers))
        entries += data.ljust(4, b"\0")
    file[4:8] = struct.pack(f"{order}I", len(file))
    path.write_bytes(file + struct.pack(f"{order}H", len(tags)) + entries + bytes(4))
