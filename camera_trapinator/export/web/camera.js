// The live camera: frame by frame, as fast as the network is; what comes meanwhile is dropped.

import { byId } from "./elements.js";
import { maskCanvas } from "./overlay.js";
import { animalText, speciesIn, state } from "./results.js";
import { ask } from "./work.js";
import { plain, word } from "./words.js";

let stream = null;

function mark(found) {
  const canvas = byId("marks");
  const longest = Math.min(1, 960 / Math.max(found.width, found.height));
  canvas.width = Math.round(found.width * longest);
  canvas.height = Math.round(found.height * longest);
  canvas.getContext("2d").drawImage(
    maskCanvas(found, state.model.classes, canvas.width, canvas.height), 0, 0);
  byId("seen").textContent = speciesIn(found).map(animalText).join(", ") || word("empty");
}

async function look(own) {
  const video = byId("video");
  let began = performance.now();
  while (stream === own) {
    if (video.readyState < 2 || document.hidden) {
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      continue;
    }
    try {
      const bitmap = await createImageBitmap(video);
      const found = await ask("frame", { bitmap }, [bitmap]);
      if (stream !== own) return;
      mark(found);
    } catch (error) {
      if (stream === own) byId("seen").textContent = word("broken");
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
    const now = performance.now();
    byId("rate").textContent = word("rate", { number: plain(1000 / (now - began), 1) });
    byId("camera").dataset.frames = Number(byId("camera").dataset.frames ?? 0) + 1;
    began = now;
  }
}

function end() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  byId("video").srcObject = null;
}

async function keep(add) {
  const video = byId("video"), canvas = document.createElement("canvas");
  if (!video.videoWidth) return;
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.95); });
  const now = new Date();
  const local = new Date(now - now.getTimezoneOffset() * 60000).toISOString();
  const name = `camera_${local.slice(0, 23).replace(/\D/g, "")}.jpg`;
  add([new File([blob], name, { type: "image/jpeg", lastModified: now })]);
}

// `add(files)` puts photos into the list, `tell(text)` shows a line on the page.
export function liveCamera(add, tell) {
  byId("live").hidden = !navigator.mediaDevices?.getUserMedia;
  byId("live").addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: false,
        video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 960 } } });
    } catch (error) {
      tell(word("noCamera", { reason: error.message }));
      return;
    }
    byId("video").srcObject = stream;
    byId("seen").textContent = byId("rate").textContent = "";
    byId("marks").width = byId("marks").width;
    byId("camera").showModal();
    await byId("video").play();
    look(stream);
  });
  byId("end").addEventListener("click", () => byId("camera").close());
  byId("keep").addEventListener("click", () => keep(add));
  byId("camera").addEventListener("close", end);
}
