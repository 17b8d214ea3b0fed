"""The phone page: one folder of static files that finds animals in photos without a network.

    write_page("cnn_states/unet/export/unet_int8.onnx", "cnn_states/unet/export/web")
    python -m http.server --directory cnn_states/unet/export/web    # then http://localhost:8000

The page's own files lie in web/. The model runs in onnxruntime-web, which comes from its npm
package of one version, and whose files are copied only if they have the checksums below. model.json
tells the page what stands in the model's metadata; service_worker.js knows all files by their
checksums, so that what is kept for use without network is whole, and of one version. No photo
leaves the page: a Content-Security-Policy allows nothing but its own files.
"""

import base64
import hashlib
import html
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml
from PIL import Image, ImageDraw

from .. import InputError, __version__
from ..data.files import sha256
from ..outputs.blobs import Limits
from ..outputs.drawing import visible
from ..outputs.prediction import least_confidence
from ..utils import ROOT
from .runtime import open_onnx

SOURCE = Path(__file__).with_name("web")
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INSTALL = f"npm install --no-save {PACKAGE}@{VERSION}"
# What is needed of the package's dist/, with its checksums: for the main processor, and for the
# graphics processor of phones that have WebGPU (which does not know int8).
MAIN = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs":
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm":
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
GRAPHICS = {
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs":
        "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm":
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software
without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR
PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT
OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR
OTHER DEALINGS IN THE SOFTWARE.
"""


def find_runtime(runtime: str | Path | None = None) -> Path:
    """The folder of the npm package: `runtime`, or node_modules/ in or beside this checkout.
    Raises InputError, with the command that brings it, if it is not there."""
    places = [Path(runtime)] if runtime else [folder / "node_modules" / PACKAGE
                                              for folder in (ROOT, ROOT.parent)]
    for place in places:
        for folder in (place, place / "package", place / PACKAGE, place / "node_modules" / PACKAGE):
            if (folder / "dist").is_dir():
                return folder
    raise InputError(f"{', '.join(map(str, places))}: no {PACKAGE} there, which the page runs in; "
                     f"in {ROOT}: {INSTALL}")


def runtime_faults(runtime: str | Path | None = None) -> list[str]:
    """What stands against a page with the runtime in this folder (None: where it is looked for)."""
    try:
        folder = find_runtime(runtime)
    except InputError as error:
        return [str(error)]
    try:
        version = json.loads((folder / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        version = "no version"
    if version != VERSION:
        return [f"{folder}: {PACKAGE} {version}; the page is tested with {VERSION}: {INSTALL}"]
    files = {name: folder / "dist" / name for name in (*MAIN, *GRAPHICS)}
    wrong = [name for name, checksum in {**MAIN, **GRAPHICS}.items()
             if not files[name].is_file() or sha256(files[name]) != checksum]
    return [f"{folder / 'dist'}: {', '.join(wrong)} missing or changed; delete {folder}, then "
            f"{INSTALL}"] if wrong else []


def page_notes(metadata: dict) -> list[str]:
    """What the page does otherwise than scripts/test.py with the same run, as sentences."""
    knobs = _knobs(metadata)
    notes = ["the page knows no locations and bursts: each photo is judged alone"]
    if knobs.get("strips", "none") != "none":
        notes.append("strips: the page does not look for info strips; the network sees them")
    if knobs.get("flips"):
        notes.append("flips: the page predicts each photo once, not mirrored as well")
    if knobs.get("tile"):
        notes.append("tile: the page predicts each photo whole")
    return notes


def write_page(model: str | Path, folder: str | Path, runtime: str | Path | None = None,
               ) -> list[Path]:
    """Write the page of an exported .onnx file into `folder`, whole or not at all; an earlier page
    there is replaced. Returns its files.

    `runtime`: see `find_runtime`. Raises InputError for what `runtime_faults` tells, a model that
    is none of ours or a regression, and a folder that holds something else than a page.
    """
    model, folder = Path(model), Path(folder)
    _, metadata = open_onnx(model)
    faults = runtime_faults(runtime)
    if len(metadata["classes"]) < 2:
        faults.append(f"{model}: a regression; the page shows species, not numbers")
    if folder.exists() and any(folder.iterdir()) and not (folder / "model.json").exists():
        faults.append(f"{folder}: holds something else than a page; give an empty folder")
    if faults:
        raise InputError("; also ".join(faults))
    making = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(making, ignore_errors=True)  # left by a kill
    try:
        _fill(making, model, metadata, find_runtime(runtime) / "dist")
        if folder.exists():
            shutil.rmtree(folder)
        making.replace(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fill(folder: Path, model: Path, metadata: dict, package: Path) -> None:
    graphics = metadata["kind"] != "int8"
    languages = json.loads((SOURCE / "languages.json").read_text(encoding="utf-8"))
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    cannot = "".join(f'<p lang="{code}">{html.escape(table["cannot"], quote=False)}</p>'
                     for code, table in languages.items())
    _fill_in(folder / "index.html", {"CANNOT": cannot})
    (folder / "runtime").mkdir()
    for name in [*MAIN, *(GRAPHICS if graphics else ())]:
        shutil.copy(package / name, folder / "runtime" / name)
    shutil.copy(model, folder / "model.onnx")
    _write(folder / "model.json", json.dumps(page_model(metadata), ensure_ascii=False, indent=1))
    _write(folder / "manifest.webmanifest", json.dumps({
        "name": f"Camera Trapinator: {metadata['run']}", "short_name": "Trapinator",
        "start_url": "./", "scope": "./", "display": "standalone", "background_color": "#14432a",
        "theme_color": "#14432a", "icons": [
            {"src": f"icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png",
             "purpose": purpose} for side in (192, 512) for purpose in ("any", "maskable")]}))
    for side in (192, 512):
        _icon(side).save(folder / f"icon-{side}.png")
    _write(folder / "LICENSES.txt", licences(metadata))
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))
             if path.is_file() and path.name != "service_worker.js"}
    sums = {name: "sha256-" + base64.b64encode(bytes.fromhex(sha256(path))).decode()
            for name, path in files.items()}
    worker = (folder / "service_worker.js").read_text(encoding="utf-8")
    version = hashlib.sha256((worker + json.dumps(sums)).encode()).hexdigest()[:16]
    _fill_in(folder / "service_worker.js", {"VERSION": version, "FILES": json.dumps(sums)})


def page_model(metadata: dict) -> dict:
    """What the page has to know of a model, from its metadata: model.json."""
    knobs = _knobs(metadata)
    limits = Limits(**{name: knobs[name] for name in Limits._fields if name in knobs})
    limits = limits._replace(min_confidence=least_confidence(
        knobs.get("min_confidence", "auto"), metadata.get("thresholds")))
    told = {name: metadata[name] for name in ("format", "kind", "run", "weights", "stride",
                                              "working_scale", "mean", "canvas")}
    return {**told, "licence": metadata.get("licence", ""), "file": "model.onnx",
            "gpu": metadata["kind"] != "int8", "mask_size": knobs.get("mask_size", "photo"),
            "limits": limits._asdict(),
            "classes": [[name, list(visible(colour))] for name, colour in metadata["classes"]]}


def licences(metadata: dict) -> str:
    """What the page is made of, where that comes from, and what may be done with it."""
    weights = metadata.get("licence") or "not told: ask who trained it"
    return f"""What this page is made of

* The page itself (index.html, *.css, *.js, icons, languages.json): Camera Trapinator {__version__},
  MIT licence, see below.
* model.onnx: the run {metadata["run"]}, weights {metadata["weights"]}; licence: {weights}.
* runtime/: ONNX Runtime Web {VERSION}, unchanged files of the npm package {PACKAGE}
  ({VERSION}, https://www.npmjs.com/package/{PACKAGE}), Copyright (c) Microsoft Corporation, MIT
  licence, see below. It was built of further open-source software (among it ONNX, FlatBuffers,
  Protocol Buffers, Abseil, Eigen, Emscripten), whose licences stand in
  https://github.com/microsoft/onnxruntime/blob/v{VERSION}/ThirdPartyNotices.txt

The MIT licence

{MIT}"""


def _knobs(metadata: dict) -> dict:
    """The knobs that the run was trained with."""
    config = metadata["checkpoint"].get("config") or {}
    return yaml.safe_load(config) if isinstance(config, str) else config


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _fill_in(path: Path, values: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    _write(path, text)


# A deer's head between two corners of a finder, on a square of side 100.
HEAD: Sequence[tuple[int, int]] = (
    (50, 78), (42, 66), (38, 52), (26, 46), (36, 44), (40, 42), (33, 34), (26, 34), (24, 24),
    (29, 29), (34, 29), (33, 20), (39, 30), (43, 39), (57, 39), (61, 30), (67, 20), (66, 29),
    (71, 29), (76, 24), (74, 34), (67, 34), (60, 42), (64, 44), (74, 46), (62, 52), (58, 66))
CORNERS = (((14, 30), (14, 14), (30, 14)), ((70, 14), (86, 14), (86, 30)),
           ((86, 70), (86, 86), (70, 86)), ((30, 86), (14, 86), (14, 70)))


def _icon(side: int) -> Image.Image:
    large = 4 * side
    picture = Image.new("RGB", (large, large), "#14432a")
    draw = ImageDraw.Draw(picture)

    def placed(points):  # within the circle that a launcher may cut out
        return [tuple(large * (0.5 + 0.0085 * (value - 50)) for value in point) for point in points]

    for corner in CORNERS:
        draw.line(placed(corner), "#8df0b4", large // 28, joint="curve")
    draw.polygon(placed(HEAD), "#ffffff")
    return picture.resize((side, side), Image.Resampling.LANCZOS)
