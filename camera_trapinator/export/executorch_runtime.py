"""Runs .pte files with ExecuTorch, on the CPU, as `runtime.open_onnx` does .onnx files.

At the end of a file stands its checksum: of a damaged one ExecuTorch may end the whole process.
"""

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch

from .. import InputError
from .metadata import KEY, read_text
from .onnx_files import need_packages

MARK = b"\ncamera_trapinator sha256 "  # what stands before the checksum, which is the file's end


def open_pte(path: Path) -> tuple[Callable[[np.ndarray], np.ndarray], dict]:
    """What computes the logits (or values) of a canvas, float32 (1, C, H, W) of uint8 (1, channels,
    H, W), and the metadata of a .pte file. Raises InputError for one that is none of ours, is
    damaged, or is more than the installed ExecuTorch understands."""
    with fitting_packages("executorch"):
        from executorch.runtime import Runtime

    program = checked(path.read_bytes(), path)
    try:
        with silenced():
            program = Runtime.get().load_program(program)
            text = program.load_method(KEY).execute([])[0] if KEY in program.method_names else None
        metadata = read_text(text, path)
        canvas = torch.zeros(1, len(metadata["mean"]), *metadata["canvas"], dtype=torch.uint8)
        with silenced():  # whether it can be run here is told now
            program.load_method("forward").execute([canvas])
    except RuntimeError as error:
        raise InputError(f"{path}: ExecuTorch cannot open it ({first_line(error)}); export the run "
                         "anew with scripts/export.py") from None
    regression = len(metadata["classes"]) == 1

    def run(photo: np.ndarray) -> np.ndarray:
        # The method is asked for each time: alone it would not keep its program in memory.
        answer = program.load_method("forward").execute([torch.from_numpy(photo)])[0].numpy()
        return answer[:, None] if regression else answer

    return run, metadata


def with_checksum(program: bytes) -> bytes:
    """The content of a .pte file with its checksum at the end, where runtimes do not look."""
    return program + MARK + hashlib.sha256(program).hexdigest().encode()


def checked(content: bytes, path: Path) -> bytes:
    """The program of a .pte file's content. Raises InputError unless it is what was written."""
    program, mark, checksum = content.rpartition(MARK)
    if not mark:
        raise InputError(f"{path}: cut short, or no model that Camera Trapinator has exported; "
                         "make one with scripts/export.py")
    if hashlib.sha256(program).hexdigest().encode() != checksum:
        raise InputError(f"{path}: damaged, its checksum is wrong; copy it again, or export the "
                         "run anew with scripts/export.py")
    return program


def first_line(error: Exception) -> str:
    """Why ExecuTorch failed, shortly."""
    return (str(error).strip() or type(error).__name__).split("\n")[0][:150]


@contextmanager
def fitting_packages(*names: str) -> Iterator[None]:
    """Where packages are imported: without what they tell, see `silenced`. Raises InputError if one
    is missing or, being built for another version of PyTorch, cannot be loaded."""
    need_packages(*names, suffix=".pte", extra="phone")
    try:
        with silenced():
            yield
    except ImportError as error:
        raise InputError(f"ExecuTorch cannot be loaded ({first_line(error)}): it has to be the "
                         f"release for PyTorch {torch.__version__}; "
                         "pip install -U -e '.[phone]'") from None


@contextmanager
def silenced() -> Iterator[None]:
    """Without what ExecuTorch tells whoever develops it, on processors and steps: that goes to the
    process's own stderr. Where an error ends the block, all of it is printed after all."""
    sys.stderr.flush()
    shown = os.dup(2)
    with TemporaryFile() as told, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(told.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            told.seek(0)
            os.write(shown, told.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
