// Reads the QR codes of a photograph, in a worker: zxing-cpp in WebAssembly, from this server alone.
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";

prepareZXingModule({ overrides: { locateFile: () => "/pantallas/casilla-zxing.wasm" } });

self.onmessage = async (event: MessageEvent<{ id: number; image: Blob }>) => {
  const { id, image } = event.data;
  try {
    const found = await readBarcodes(image, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 4 });
    self.postMessage({ id, texts: found.filter((each) => each.isValid).map((each) => each.text) });
  } catch (error) {
    self.postMessage({ id, texts: [], error: String(error) });
  }
};
