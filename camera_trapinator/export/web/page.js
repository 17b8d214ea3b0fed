// The page: photos in, one after the other through the worker, results in a list and a table.

import { liveCamera } from "./camera.js";
import { byId, make } from "./elements.js";
import { largeView, openLarge } from "./large.js";
import { showResults, state } from "./results.js";
import { failuresTable, predictionsTable, shareOrSave } from "./tables.js";
import { plain, remembered, chooseLanguage, word } from "./words.js";
import { ask, startWorker } from "./work.js";

// What is looked at of a folder, and what of its own a system keeps there.
const PHOTO = /\.(jpe?g|png|tiff?|heic|heif|webp|avif)$/i;
const OF_SYSTEM = /(^|\/)(\.[^/]*|\$RECYCLE\.BIN|System Volume Information|__MACOSX|@eaDir)(\/|$)/i;
const queue = [];
let ready = null, working = false;

function notice(text, bad = false, button = null) {
  const line = make("p", { class: bad ? "bad" : "" }, make("span", {}, text), button);
  byId("notices").append(line);
  if (!bad && !button) setTimeout(() => line.remove(), 8000);
  return line;
}

function sayState() {
  const offline = navigator.serviceWorker?.controller ? word("offline") : "";
  byId("state").textContent = state.ready
    ? [word("ready"), offline].filter(Boolean).join(" · ") : word("preparing");
}

function showProgress() {
  const all = state.results.length, done = all - queue.length - (working ? 1 : 0);
  byId("progress").hidden = !working;
  byId("bar").value = all ? done / all : 0;
  byId("count").textContent = word("progress", { done: plain(done), all: plain(all) });
}

// Below the chosen folder, as Python names photos; two of one name are told apart.
function nameFor(file) {
  const path = file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
  const names = new Set(state.results.map((result) => result.name));
  let name = path;
  for (let number = 2; names.has(name); number += 1) name = `${path} (${number})`;
  return { name, key: [path, file.size, file.lastModified].join("\0") };
}

function add(files, folder = false) {
  const known = new Set(state.results.map((result) => result.key));
  let already = 0, passedOver = 0;
  for (const file of files) {
    const { name, key } = nameFor(file);
    if (folder && OF_SYSTEM.test(name)) continue;
    if (folder && !PHOTO.test(name)) passedOver += 1;
    else if (known.has(key)) already += 1;
    else {
      known.add(key);
      const result = { file, name, key, done: false, failure: "", blobs: [] };
      state.results.push(result);
      queue.push(result);
    }
  }
  if (already) notice(word("already", { number: plain(already) }));
  if (passedOver) notice(word("passedOver", { number: plain(passedOver) }));
  work();
}

async function look(result) {
  try {
    Object.assign(result, await ask("photo", { file: result.file }));
    result.address = URL.createObjectURL(result.picture);
  } catch (error) {
    result.failure = error.reason ?? "broken";
    result.detail = error.message;
  }
  result.done = true;
}

// One after the other; a photo that cannot be read stops nothing.
async function work() {
  if (working) return;
  working = true;
  const awake = await navigator.wakeLock?.request("screen").catch(() => null);
  showResults(openLarge);
  showProgress();
  await ready;
  while (queue.length && state.ready) {
    const result = queue.shift();
    await look(result);
    if (state.results.includes(result)) showResults(openLarge, result);
    showProgress();
  }
  working = false;
  awake?.release();
  showProgress();
}

function stop() {
  const left = new Set(queue.splice(0));
  state.results = state.results.filter((result) => !left.has(result));
  showProgress();
}

function clear() {
  if (!confirm(word("reallyClear", { number: plain(state.results.length) }))) return;
  stop();
  for (const result of state.results) URL.revokeObjectURL(result.address);
  state.results = [];
  showResults(openLarge);
}

async function save() {
  const done = state.results.filter((result) => result.done);
  const failed = done.filter((result) => result.failure);
  const file = (name, text) => new File([text], name, { type: "text/csv" });
  const files = [file("predictions.csv", predictionsTable(
    done.filter((result) => !result.failure), state.model.classes))];
  if (failed.length) {
    files.push(file("failures.csv", failuresTable(failed, (result) => word(result.failure))));
  }
  const saved = await shareOrSave(files, "", matchMedia("(pointer: coarse)").matches);
  if (saved) notice(word("saved", { name: saved }));
}

function chooseTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const wanted = remembered("theme") ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = wanted;
  };
  dark.addEventListener("change", show);
  byId("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remembered("theme", now);
    document.documentElement.dataset.theme = now;
  });
  show();
}

// Keep the page for use without network; a newer one is used when the person says so.
async function keepOffline() {
  if (!navigator.serviceWorker) {
    if (!isSecureContext) notice(word("insecure"), true);
    return;
  }
  navigator.serviceWorker.addEventListener("controllerchange", sayState);
  const offer = (waiting) => {
    const button = make("button", { type: "button" }, word("updateNow"));
    button.addEventListener("click", () => {
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
      waiting.postMessage("use it");
    });
    notice(word("update"), false, button);
  };
  try {
    const registration = await navigator.serviceWorker.register("service_worker.js");
    if (registration.waiting) offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const { installing } = registration;
      installing.addEventListener("statechange", () => {
        if (installing.state === "installed" && navigator.serviceWorker.controller) {
          offer(installing);
        }
      });
    });
  } catch {
    // the network is off: the one that is there goes on
  }
}

async function startModel() {
  try {
    state.model = await (await fetch("model.json")).json();
    byId("model").textContent = [state.model.run, state.model.kind].join(" · ");
    await startWorker();
    const { backend } = await ask("start", { base: document.baseURI, model: state.model });
    Object.assign(state, { ready: true, backend });
  } catch (error) {
    notice(word("cannotStart", { reason: error.message }), true);
  }
  sayState();
}

async function start() {
  await chooseLanguage(() => {
    sayState();
    showProgress();
    showResults(openLarge);
  });
  chooseTheme();
  byId("cannot").hidden = true;
  byId("page").hidden = false;
  for (const id of ["photos", "folder", "take"]) {
    byId(id).addEventListener("change", () => {
      add([...byId(id).files], id === "folder");
      byId(id).value = "";  // so that the same may be chosen again
    });
  }
  if (!("webkitdirectory" in byId("folder"))) byId("folder").parentElement.hidden = true;
  byId("stop").addEventListener("click", stop);
  byId("clear").addEventListener("click", clear);
  byId("save").addEventListener("click", save);
  addEventListener("beforeunload", (event) => {
    if (working) event.preventDefault();
  });
  largeView((text) => notice(text, true));
  liveCamera(add, (text) => notice(text, true));
  sayState();
  ready = startModel();
  await ready;
  keepOffline();
}

globalThis.cameraTrapinator = state;  // for those who look under the bonnet
start();
