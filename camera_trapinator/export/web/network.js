// The network: onnxruntime-web, on the graphics processor where that is there and says the same as
// the main one, else on that. One opened session for each size of photos, the last few kept.

import { enlarged } from "./masks.js";
import { resized } from "./resizing.js";

const SESSIONS = 3;
const LEAST_AGREEMENT = 0.999;  // of the first photo's pixels, graphics processor and main one
const FILES = {
  wasm: ["ort.wasm.min.mjs", "ort-wasm-simd-threaded"],
  webgpu: ["ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify"],
};

export class Network {
  // `base`: the page's address; `model`: model.json.
  static async open(base, model) {
    const network = new Network();
    Object.assign(network, { base, model, sessions: new Map(), checked: false });
    const response = await fetch(new URL(model.file, base));
    if (!response.ok) throw new Error(model.file + ": " + response.status);
    network.bytes = new Uint8Array(await response.arrayBuffer());
    const adapter = model.gpu ? await navigator.gpu?.requestAdapter().catch(() => null) : null;
    try {
      await network.load(adapter ? "webgpu" : "wasm");
    } catch (error) {
      if (!adapter) throw error;
      await network.load("wasm");
    }
    return network;
  }

  async load(backend) {
    const [script, name] = FILES[backend];
    const folder = new URL("runtime/", this.base);
    this.runtime = await import(new URL(script, folder));
    const { wasm } = this.runtime.env;
    wasm.wasmPaths = { mjs: String(new URL(name + ".mjs", folder)),
      wasm: String(new URL(name + ".wasm", folder)) };
    wasm.numThreads = globalThis.crossOriginIsolated
      ? Math.min(4, navigator.hardwareConcurrency ?? 1) : 1;
    this.backend = backend;
  }

  async session(height, width, backend) {
    const key = backend + height + "x" + width;
    let session = this.sessions.get(key);
    this.sessions.delete(key);
    session ??= await this.runtime.InferenceSession.create(this.bytes, {
      executionProviders: backend === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
      ...(this.model.canvas ? {} : { freeDimensionOverrides: { height, width } }) });
    this.sessions.set(key, session);  // the last one used stands last
    if (this.sessions.size > SESSIONS) {
      const [oldest, unused] = this.sessions.entries().next().value;
      this.sessions.delete(oldest);
      await unused.release();
    }
    return session;
  }

  // What the network says of a picture ({width, height, data}, four bytes a pixel). One that is
  // larger than a network of one size takes is seen smaller, and the answer enlarged.
  async run(pixels) {
    const { canvas } = this.model;
    const factor = canvas ? Math.min(canvas[0] / pixels.height, canvas[1] / pixels.width) : 1;
    if (factor >= 1) return this.runWhole(pixels);
    const fit = (side, most) => Math.max(1, Math.min(Math.trunc(side * factor + 0.5), most));
    const said = await this.runWhole(
      resized(pixels, [fit(pixels.width, canvas[1]), fit(pixels.height, canvas[0])]));
    return enlarged(said, pixels.width, pixels.height);
  }

  async runWhole(pixels) {
    const { stride, canvas } = this.model;
    const height = canvas ? canvas[0] : Math.ceil(pixels.height / stride) * stride;
    const width = canvas ? canvas[1] : Math.ceil(pixels.width / stride) * stride;
    const photo = new Uint8Array(3 * height * width);
    for (let channel = 0; channel < 3; channel += 1) {
      const plane = photo.subarray(channel * height * width, (channel + 1) * height * width);
      plane.fill(Math.round(this.model.mean[channel]));  // right and below
      for (let y = 0; y < pixels.height; y += 1) {
        for (let x = 0; x < pixels.width; x += 1) {
          plane[y * width + x] = pixels.data[4 * (y * pixels.width + x) + channel];
        }
      }
    }
    const said = await this.answer(photo, height, width);
    const size = { height: pixels.height, width: pixels.width };
    return { ...size, logits: cropped(said.logits.data, height, width, size),
      foreground: cropped(said.foreground.data, height, width, size),
      confidence: cropped(said.confidence.data, height, width, size) };
  }

  async answer(photo, height, width) {
    if (this.backend === "webgpu" && !this.checked) {
      this.checked = true;
      const sure = await this.ask(photo, height, width, "wasm");
      try {
        const quick = await this.ask(photo, height, width, "webgpu");
        const same = quick.classes.data.filter((kind, pixel) => kind === sure.classes.data[pixel]);
        if (same.length >= LEAST_AGREEMENT * sure.classes.data.length) return quick;
      } catch {
        // a graphics processor that cannot run it
      }
      this.backend = "wasm";
      return sure;
    }
    return this.ask(photo, height, width, this.backend);
  }

  async ask(photo, height, width, backend) {
    const session = await this.session(height, width, backend);
    return session.run({ photo: new this.runtime.Tensor("uint8", photo, [1, 3, height, width]) });
  }
}

// Planes without what was padded.
function cropped(data, height, width, size) {
  const planes = data.length / (height * width);
  const result = new Float32Array(planes * size.height * size.width);
  for (let plane = 0; plane < planes; plane += 1) {
    for (let y = 0; y < size.height; y += 1) {
      const begin = (plane * height + y) * width;
      result.set(data.subarray(begin, begin + size.width),
        (plane * size.height + y) * size.width);
    }
  }
  return result;
}
