"""The phone page in a real browser: photos in, masks and tables out, without a network."""

import json
import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_pages import open_browser
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from camera_trapinator import InputError
from camera_trapinator.config import parse_config
from camera_trapinator.data.photos import find_photos
from camera_trapinator.export import web
from camera_trapinator.export.metadata import describe
from camera_trapinator.export.onnx_files import write_onnx
from camera_trapinator.model import load_model
from camera_trapinator.networks.weights import fold_norm
from camera_trapinator.outputs.blobs import Limits, photo_record
from camera_trapinator.outputs.records import mask_of
from camera_trapinator.training.checkpoint import load_checkpoint
from camera_trapinator.training.slim import slim_checkpoint

pytest.importorskip("onnx", reason="onnx is not installed: no page can be written")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no page can be written")
LANGUAGES = json.loads((web.SOURCE / "languages.json").read_text(encoding="utf-8"))
AXE = Path(os.environ.get("AXE", "node_modules/axe-core/axe.min.js"))
SIZES = [(390, 844), (844, 390)]


@pytest.fixture(scope="module")
def runtime() -> Path:
    """The npm package that the page runs in: in $ONNXRUNTIME_WEB, or where web.py looks."""
    place = os.environ.get("ONNXRUNTIME_WEB")
    if faults := web.runtime_faults(place):
        assert not os.environ.get("CI"), faults
        pytest.skip(f"the page is not tried out: {faults[0]}")
    return web.find_runtime(place)


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory) -> tuple:
    """The network of the trained run, and its .onnx file."""
    weights = trained / "shapes/best.pt"
    checkpoint = load_checkpoint(weights)
    config = parse_config(checkpoint["config"], "shapes", stored=True)
    net = load_model(checkpoint)
    fold_norm(net)
    path = tmp_path_factory.mktemp("model") / "shapes_fp32.onnx"
    write_onnx(net, path, describe(net, weights, slim_checkpoint(checkpoint, config)))
    return net, path


class Site:
    """The page on a server, in a browser that has it open."""

    def __init__(self, folder: Path, browser, downloads: Path):
        handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://localhost:{self.server.server_port}/"
        self.browser, self.downloads, self.model = browser, downloads, folder / "model.json"
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", {
            "behavior": "allow", "downloadPath": str(downloads)})

    def open(self) -> None:
        self.browser.get("about:blank")
        self.browser.get(self.address)
        self.wait("window.cameraTrapinator?.ready")

    def wait(self, condition: str) -> None:
        WebDriverWait(self.browser, 240, 0.1).until(
            lambda found: found.execute_script(f"return {condition}"))

    def find(self, name: str):
        return self.browser.find_element(By.ID, name)

    def give(self, *photos: Path, to: str = "photos") -> dict[str, dict]:
        """The results of photos by their names."""
        self.find(to).send_keys("\n".join(map(str, photos)))
        self.wait("cameraTrapinator.results.length && "
                  "cameraTrapinator.results.every((result) => result.done)")
        return {result["name"]: result for result in self.browser.execute_script(
            "return cameraTrapinator.results.map(({file, picture, runs, ...result}) => result)")}

    def drawn(self, name: str) -> np.ndarray:
        """The classes of the mask as it is drawn over a photo, by their colours."""
        self.browser.execute_script(
            "[...document.querySelectorAll('button.photo')].find((button) => "
            "button.querySelector('.file').textContent === arguments[0]).click()", name)
        self.wait(f"document.getElementById('large').dataset.drawn === {json.dumps(name)}")
        width, height, *pixels = self.browser.execute_script("""
            const canvas = document.getElementById("mask");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            return [width, height, ...data];""")
        self.find("close").click()
        pixels = np.reshape(pixels, (height, width, 4))
        colours = np.array([colour for _, colour in json.loads(self.model.read_text())["classes"]])
        away = np.abs(pixels[:, :, None, :3] - colours[1:]).sum(axis=-1)
        return np.where(pixels[..., 3] > 0, away.argmin(axis=-1) + 1, 0)

    def saved(self, *names: str) -> list[str]:
        self.find("save").click()
        WebDriverWait(self.browser, 60).until(
            lambda _: all((self.downloads / name).exists() for name in names))
        texts = [(self.downloads / name).read_text(encoding="utf-8-sig") for name in names]
        for name in names:
            (self.downloads / name).unlink()
        return texts


@pytest.fixture(scope="module")
def site(model, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    web.write_page(model[1], folder / "web", runtime)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with open_browser(*camera) as browser:
        yield Site(folder / "web", browser, tmp_path_factory.mktemp("downloads"))


def a_photo(data_root: Path) -> Path:
    return data_root / "photos" / find_photos(data_root / "photos")[0]


def true_record(net, path: Path, limits: Limits) -> dict:
    said = net.predict(path)
    return photo_record(path.name, said.mask(), said.foreground(), said.species(), limits,
                        net.num_classes, width=said.photo.width, height=said.photo.height)


def test_masks_and_table_are_those_of_python(site, model, data_root):
    """A folder of photos: what is drawn, species, numbers and empty photos in the table."""
    net, _ = model
    limits = Limits(**json.loads(site.model.read_text())["limits"])
    folder = data_root / "photos"
    files = [folder / name for name in find_photos(folder)]
    records = {path.relative_to(folder).as_posix(): true_record(net, path, limits)
               for path in files}
    site.open()
    results = site.give(folder, to="folder")
    assert set(results) == set(records)
    header, *rows = [line.split(",") for line in site.saved("predictions.csv")[0].splitlines()]
    names = [name for name, _ in json.loads(site.model.read_text())["classes"]]
    for row in rows:
        told, record = dict(zip(header, row, strict=True)), records[row[0]]
        blob = record["blobs"][0] if record["blobs"] else None
        species = blob and ("unknown" if blob["unknown"] else names[blob["class"]])
        assert told["empty"] == str(not blob).upper()
        assert told["species"] == (species or "")
        assert int(told["animals"]) == len(record["blobs"])
        assert float(told["confidence"]) == pytest.approx(record["confidence"], abs=0.02)
    assert len(rows) == len(files) and any(record["blobs"] for record in records.values())
    for name in sorted(records, key=lambda name: -len(records[name]["blobs"]))[:3]:
        assert (site.drawn(name) == mask_of(records[name])).mean() >= 0.99


def broken_photos(folder: Path, photo: Path) -> None:
    image = Image.open(photo).convert("RGB").resize((64, 48))
    image.save(folder / "whole.jpg", quality=95)
    (folder / "torn.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:-300])
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=95, exif=exif)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    Image.fromarray(grey * 16).save(folder / "twelve.png")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    (folder / "scan.tif").write_bytes(b"II*\0" + bytes(200))
    (folder / "text.jpg").write_text("no photo")
    (folder / "nothing.jpg").write_bytes(b"")


def test_odd_and_broken_photos_are_shown_or_told(site, model, data_root, tmp_path):
    net, _ = model
    broken_photos(tmp_path, a_photo(data_root))
    site.open()
    results = site.give(*sorted(tmp_path.iterdir()))
    reasons = {name: result["failure"] for name, result in results.items() if result["failure"]}
    assert reasons == {"torn.jpg": "truncated", "phone.heic": "heic", "scan.tif": "tiff",
                       "text.jpg": "noPicture", "nothing.jpg": "nothingInIt"}
    text = site.find("list").text
    for name, reason in reasons.items():
        assert f"{LANGUAGES['en'][reason]}\n{name}" in text
    limits = Limits(**json.loads(site.model.read_text())["limits"])
    for name in ("whole.jpg", "turned.jpg", "cmyk.jpg", "twelve.png"):
        record, result = true_record(net, tmp_path / name, limits), results[name]
        assert (result["width"], result["height"]) == (record["width"], record["height"])
        assert [blob["class"] for blob in result["blobs"]] == [
            blob["class"] for blob in record["blobs"]], name
        assert result["confidence"] == pytest.approx(record["confidence"], abs=0.05), name
    predictions, failures = site.saved("predictions.csv", "failures.csv")
    assert len(predictions.splitlines()) == 5
    assert {line.split(",")[0] for line in failures.splitlines()} == {"file", *reasons}


def test_nothing_leaves_the_page(site, data_root):
    """No request but for its own files, which a policy also forbids in page and worker."""
    site.browser.get_log("performance")
    site.open()
    site.give(a_photo(data_root))
    asked = [json.loads(entry["message"])["message"] for entry in
             site.browser.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in asked
            if event["method"] == "Network.requestWillBeSent"}
    assert urls and all(url.startswith((site.address, f"blob:{site.address}", "about:"))
                        for url in urls), urls
    refused = site.browser.execute_async_script("""
        const done = arguments[0];
        fetch("http://127.0.0.1:9/").then(() => done("sent"), () => {});
        document.addEventListener("securitypolicyviolation", (event) =>
          done(event.effectiveDirective));""")
    assert refused == "connect-src"


def test_a_second_visit_needs_no_network(model, runtime, data_root, tmp_path):
    web.write_page(model[1], tmp_path / "web", runtime)
    photo = a_photo(data_root)
    with open_browser() as browser:
        site = Site(tmp_path / "web", browser, tmp_path)
        site.open()
        site.wait("navigator.serviceWorker.controller !== null")
        first = site.give(photo)
        site.server.shutdown()
        site.server.server_close()
        site.open()
        assert LANGUAGES["en"]["offline"] in site.find("state").text
        second = site.give(photo)
        for one, other in zip(first.values(), second.values(), strict=True):
            assert (one["pixels"], one["blobs"]) == (other["pixels"], other["blobs"])


def test_the_live_camera_is_looked_at_and_stops(site):
    site.open()
    site.find("live").click()
    site.wait("Number(document.getElementById('camera').dataset.frames) >= 2")
    assert site.find("seen").text
    site.find("keep").click()
    site.find("end").click()
    site.wait("cameraTrapinator.results.length === 1 && cameraTrapinator.results[0].done")
    assert site.browser.execute_script(
        "return document.getElementById('video').srcObject") is None


def test_axe_finds_nothing(site, data_root):
    if not AXE.is_file():
        pytest.skip(f"{AXE}: axe-core is not installed (npm), or give its file as $AXE")
    site.open()
    photo = a_photo(data_root)
    name = next(iter(site.give(photo)))
    for large in (False, True):
        if large:
            site.browser.execute_script("document.querySelector('button.photo').click()")
            site.wait(f"document.getElementById('large').dataset.drawn === {json.dumps(name)}")
        for width, height in SIZES:
            for scheme in ("light", "dark"):
                site.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                    "width": width, "height": height, "deviceScaleFactor": 1, "mobile": True})
                site.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                    "features": [{"name": "prefers-color-scheme", "value": scheme}]})
                site.browser.execute_script(AXE.read_text())
                found = site.browser.execute_async_script(
                    "axe.run().then(({ violations }) => arguments[0](violations))")
                assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
                small = site.browser.execute_script("""
                    return [...document.querySelectorAll("button, select, .button")].filter(
                      (one) => one.checkVisibility() && Math.min(one.offsetWidth,
                      one.offsetHeight) < 48).map((one) => one.outerHTML);""")
                assert small == []
                assert not site.browser.execute_script(
                    "return document.documentElement.scrollWidth > innerWidth")


def test_every_text_is_there_in_every_language():
    for code, table in LANGUAGES.items():
        assert table.keys() == LANGUAGES["en"].keys(), code
        for key, text in table.items():
            assert text.strip(), (code, key)
            assert set(re.findall(r"{\w+}", text)) == set(
                re.findall(r"{\w+}", LANGUAGES["en"][key])), (code, key)
    sources = "".join(path.read_text(encoding="utf-8") for path in web.SOURCE.iterdir()
                      if path.suffix in (".js", ".html"))
    used = set(re.findall(r'(?:word\(|data-text=|data-label=|Unreadable\()"(\w+)"', sources))
    assert len(used) > 30 and used <= LANGUAGES["en"].keys()
    markup = (web.SOURCE / "index.html").read_text(encoding="utf-8")
    words = set(re.findall(r">([^<>{}]*\w[^<>{}]*)<", markup))
    assert words == {"Camera Trapinator"}  # all else comes from the table


def test_what_stands_against_a_page_is_told_at_once(model, tmp_path):
    missing = tmp_path / "nowhere"
    assert web.INSTALL in web.runtime_faults(missing)[0]
    package = tmp_path / "package"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text('{"version": "1.2.3"}')
    assert "1.2.3" in web.runtime_faults(package)[0]
    (package / "package.json").write_text(f'{{"version": "{web.VERSION}"}}')
    for name in [*web.MAIN, *web.GRAPHICS]:
        (package / "dist" / name).write_text("something else")
    assert "ort.wasm.min.mjs" in web.runtime_faults(package)[0]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="(?s)missing or changed.*holds something else"):
        web.write_page(model[1], mine, package)
    assert (mine / "letter.txt").read_text() == "dear"
