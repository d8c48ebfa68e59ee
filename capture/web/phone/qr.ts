// Asks the worker that reads QR codes. It is loaded with the first photograph; without it people read.
const SECONDS = 20;

const PROGRAM = "/pantallas/casilla-zxing.wasm";

let worker: Worker | null = null;
let last = 0;

/** The texts of the QR codes of a photograph; none if the program could not be loaded, or takes too long. */
export async function readQr(image: Blob): Promise<string[]> {
  const id = ++last;
  let program: ArrayBuffer | undefined;
  if (!worker) {
    try {
      const answer = await fetch(PROGRAM);
      if (!answer.ok) return [];
      program = await answer.arrayBuffer();
    } catch {
      return [];
    }
  }
  return new Promise((resolve) => {
    const end = (texts: string[], stop = false): void => {
      clearTimeout(timer);
      worker?.removeEventListener("message", answer);
      if (stop) {
        worker?.terminate();
        worker = null;
      }
      resolve(texts);
    };
    const answer = (event: MessageEvent<{ id: number; texts: string[] }>): void => {
      if (event.data.id === id) end(event.data.texts);
    };
    const timer = setTimeout(() => end([], true), SECONDS * 1000);
    try {
      worker ??= new Worker("/pantallas/casilla-qr.js", { type: "module" });
    } catch {
      return end([]);
    }
    worker.addEventListener("message", answer);
    worker.addEventListener("error", () => end([], true), { once: true });
    worker.postMessage(program ? { id, image, program } : { id, image }, program ? [program] : []);
  });
}
