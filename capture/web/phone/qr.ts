// Asks the worker that reads QR codes. It is loaded with the first photograph; without it people read.
const SECONDS = 20;

const PROGRAM = "/pantallas/casilla-zxing.wasm";

let worker: Worker | null = null;
let last = 0;

/** The texts of the QR codes of a photograph; none if the program could not be loaded, or takes too long. */
export async function readQr(image: Blob): Promise<string[]> {
  // A worker may fail to start, or die, through no fault of the photograph: another one tries it once more.
  return (await ask(image)) ?? (await ask(image)) ?? [];
}

/** The same; null if the worker failed before it could say anything. */
async function ask(image: Blob): Promise<string[] | null> {
  const id = ++last;
  let program: ArrayBuffer | undefined;
  if (!worker) {
    try {
      const answer = await fetch(PROGRAM);
      if (!answer.ok) return null;
      program = await answer.arrayBuffer();
    } catch {
      return null;
    }
  }
  return new Promise((resolve) => {
    const end = (texts: string[] | null): void => {
      clearTimeout(timer);
      worker?.removeEventListener("message", answer);
      worker?.removeEventListener("error", fail);
      resolve(texts);
    };
    const stop = (texts: string[] | null): void => {
      worker?.terminate();
      end(texts);
      worker = null;
    };
    const answer = (event: MessageEvent<{ id: number; texts: string[] }>): void => {
      if (event.data.id === id) end(event.data.texts);
    };
    const fail = (): void => stop(null);
    const timer = setTimeout(() => stop([]), SECONDS * 1000);
    try {
      worker ??= new Worker("/pantallas/casilla-qr.js", { type: "module" });
    } catch {
      return end(null);
    }
    worker.addEventListener("message", answer);
    worker.addEventListener("error", fail);
    worker.postMessage(program ? { id, image, program } : { id, image }, program ? [program] : []);
  });
}
