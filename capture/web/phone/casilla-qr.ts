// Reads the QR codes of a photograph, in a worker: zxing-cpp in WebAssembly, from this server alone. The page brings the
// program with its first question: a request of this worker would not be answered by the page's service worker.
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";

self.onmessage = async (event: MessageEvent<{ id: number; image: Blob; program?: ArrayBuffer }>) => {
  const { id, image, program } = event.data;
  if (program) prepareZXingModule({ overrides: { wasmBinary: program } });
  try {
    const found = await readBarcodes(image, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 4 });
    self.postMessage({ id, texts: found.filter((each) => each.isValid).map((each) => each.text) });
  } catch (error) {
    self.postMessage({ id, texts: [], error: String(error) });
  }
};
