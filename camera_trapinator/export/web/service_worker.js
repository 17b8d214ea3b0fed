// Keeps the page for use without network: all of its files, each with the checksum that it had when
// the page was written. Another version has another name, and comes whole or not at all.

const VERSION = "{{VERSION}}";
const FILES = JSON.parse('{{FILES}}');  // file -> sha256, as a request wants it
const GRAPHICS = /webgpu|asyncify/;  // of use only with WebGPU
const NAME = "camera-trapinator " + VERSION;
const address = (file) => String(new URL(file, registration.scope));

async function keep() {
  const cache = await caches.open(NAME);
  for (const [file, integrity] of Object.entries(FILES)) {
    if (GRAPHICS.test(file) && !navigator.gpu) continue;
    if (await cache.match(address(file))) continue;  // a visit that broke off goes on
    const response = await fetch(address(file), { integrity, cache: "no-cache" });
    if (!response.ok) throw new Error(file + ": " + response.status);
    await cache.put(address(file), response);
  }
}

async function forgetOthers() {
  for (const name of await caches.keys()) {
    if (name.startsWith("camera-trapinator ") && name !== NAME) await caches.delete(name);
  }
  await clients.claim();
}

async function answer(request) {
  const plain = request.url.split(/[?#]/)[0];
  const wanted = plain === address("./") ? address("index.html") : plain;
  const kept = await (await caches.open(NAME)).match(wanted);
  return kept ?? fetch(request);
}

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
addEventListener("message", ({ data }) => {
  if (data === "use it") skipWaiting();
});
addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});
