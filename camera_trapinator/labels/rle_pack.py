"""thi.ng/rle-pack: how Label Studio packs the picture of a brush stroke."""

import numpy as np


def unpack(code: bytes, expected: int) -> np.ndarray:
    """The bytes that thi.ng/rle-pack packed, uint8 (expected,). Raises ValueError if damaged.

    Bits, the highest first: the number of words (32), their size less 1 (5), four sizes less 1 of
    counts (4 each); then blocks: is it a run (1), which size its count has (2), the count less 1,
    and one word for a run, else `count` words.
    """
    bits = np.unpackbits(np.frombuffer(code, np.uint8))
    position = 0

    def read(size: int) -> int:
        nonlocal position
        if position + size > len(bits):
            raise ValueError("it ends too early")
        number = int("".join(map(str, bits[position:position + size])), 2)
        position += size
        return number

    total, size = read(32), read(5) + 1
    if total != expected or size != 8:
        raise ValueError(f"it holds {total} words of {size} bits, the photo needs {expected} of 8")
    counts = [read(4) + 1 for _ in range(4)]
    out, start = np.zeros(total, np.uint8), 0
    while start < total:
        run = read(1)
        end = start + read(counts[read(2)]) + 1
        if end > total:
            raise ValueError(f"it holds more than {total} bytes")
        words = 1 if run else end - start
        if position + 8 * words > len(bits):
            raise ValueError("it ends too early")
        out[start:end] = np.packbits(bits[position:position + 8 * words])
        position += 8 * words
        start = end
    return out
