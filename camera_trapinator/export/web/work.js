// The way to the worker: ask(task, what it needs) gives its result.

const waiting = new Map();
let worker = null, number = 0;

export class Failure extends Error {  // `reason`: a key of the language table
  constructor(reason, detail) {
    super(detail ?? reason);
    this.reason = reason;
  }
}

// The worker is made of a blob, since then the page's Content-Security-Policy holds in it, too.
export function startWorker() {
  const text = `import ${JSON.stringify(String(new URL("worker.js", document.baseURI)))};`;
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  return new Promise((resolve, reject) => {
    worker = new Worker(address, { type: "module" });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const failure = new Failure("broken", event.message);
      reject(failure);
      for (const { refuse } of waiting.values()) refuse(failure);
      waiting.clear();
    });
    worker.addEventListener("message", ({ data: { id, result, failure, detail } }) => {
      if (id === "loaded") {
        URL.revokeObjectURL(address);
        resolve();
        return;
      }
      const { accept, refuse } = waiting.get(id);
      waiting.delete(id);
      if (failure) refuse(new Failure(failure, detail));
      else accept(result);
    });
  });
}

export function ask(task, given, handed = []) {
  number += 1;
  const id = number;
  return new Promise((accept, refuse) => {
    waiting.set(id, { accept, refuse });
    worker.postMessage({ id, task, ...given }, handed);
  });
}
