// The service worker of the phone: the page and its files are kept, so that it opens without a network.
//
// The build writes FILES: each file of the page with the digest of its content. Another build is another cache, filled
// whole before the old one goes; a page never runs with files of two builds. The API is never kept.
declare const FILES: Record<string, string>;

const worker = self as unknown as ServiceWorkerGlobalScope;
const PAGE = "/casilla";
/** The program that reads QR codes is large: it comes after everything else, and may fail now. */
const LATER = "/pantallas/casilla-zxing.wasm";
const NAME = `casilla ${Object.values(FILES).join(" ").slice(0, 400)}`;

worker.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(NAME);
      const now = Object.keys(FILES).filter((path) => path !== LATER);
      // "reload": not what the browser keeps, which may be of the build before.
      await cache.addAll(now.map((path) => new Request(path, { cache: "reload" })));
      await worker.skipWaiting();
    })(),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name.startsWith("casilla ") && name !== NAME) await caches.delete(name);
      await worker.clients.claim();
    })(),
  );
  // Outside of waitUntil: a page does not wait for it.
  void keepLater();
});

async function keepLater(): Promise<void> {
  const cache = await caches.open(NAME);
  if (await cache.match(LATER)) return;
  await cache.add(new Request(LATER, { cache: "reload" })).catch(() => undefined);
}

// The page says so each time it opens. One that was still loading when this worker took its place was not claimed then:
// without this its requests would pass us by until it is loaded again.
worker.addEventListener("message", (event) => event.waitUntil(Promise.all([worker.clients.claim(), keepLater()])));

worker.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== worker.location.origin || !(pathname in FILES)) return;
  const path = event.request.mode === "navigate" ? PAGE : pathname;
  event.respondWith(
    (async () => {
      const kept = await (await caches.open(NAME)).match(path);
      return kept ?? fetch(event.request);
    })(),
  );
});
