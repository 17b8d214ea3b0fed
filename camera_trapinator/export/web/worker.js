// The worker, so that the page stays alive: it reads photos, asks the network, looks for animals. It
// gets {id, task, ...} and answers {id, result}, or {id, failure}: a key of the language table.

import { describe } from "./blobs.js";
import { Network } from "./network.js";
import { maskCanvas } from "./overlay.js";
import { networkPixels, openPhoto, preview } from "./reading.js";
import { Unreadable } from "./unreadable.js";

const SMALL = 480, LARGE = 1600;  // pixels of the longer side: in the list, in the large view
let network = null;

const TASKS = {
  async start({ base, model }) {
    network = await Network.open(base, model);
    return { backend: network.backend };
  },

  async photo({ file }) {
    const began = performance.now();
    const photo = await openPhoto(file);
    const { pixels, width, height } = networkPixels(photo, network.model.working_scale);
    const read = performance.now();
    const said = await network.run(pixels);
    const asked = performance.now();
    const found = describe(said, network.model, width, height);
    const done = performance.now();
    const small = preview(photo, SMALL);
    small.getContext("2d").drawImage(
      maskCanvas(found, network.model.classes, small.width, small.height), 0, 0);
    const picture = await small.convertToBlob({ type: "image/jpeg", quality: 0.85 });
    photo.bitmap.close();
    return { ...found, width, height, datetime: photo.datetime, picture, backend: network.backend,
      milliseconds: { read: read - began, network: asked - read, animals: done - asked } };
  },

  async picture({ file }) {  // to look at, large
    const photo = await openPhoto(file);
    const canvas = preview(photo, LARGE);
    photo.bitmap.close();
    return { bitmap: canvas.transferToImageBitmap() };
  },

  async frame({ bitmap }) {  // of the camera
    const { pixels, width, height } = networkPixels({ bitmap, orientation: 1, jpeg: false },
      network.model.working_scale);
    bitmap.close();
    return { ...describe(await network.run(pixels), network.model, width, height, true),
      width, height };
  },
};

addEventListener("message", async ({ data: { id, task, ...given } }) => {
  try {
    const result = await TASKS[task](given);
    const handed = [result.runs?.buffer, result.bitmap].filter(Boolean);
    postMessage({ id, result }, handed);
  } catch (error) {
    postMessage({ id, failure: error instanceof Unreadable ? error.reason : "broken",
      detail: String(error?.message ?? error) });
  }
});
postMessage({ id: "loaded" });
