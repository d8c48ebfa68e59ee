// A package for a phone without network: a ZIP with the originals, their times and signatures, to share or to carry.
import { announce, type Enrolment, original, pictures } from "./store";
import { momentWithOffset, signedHeaders } from "./signed";

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const each of bytes) value = TABLE[(value ^ each) & 0xff]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

interface Entry {
  name: string;
  content: Uint8Array<ArrayBuffer>;
}

/** A ZIP without compression: photographs are compressed already. */
export function zip(entries: readonly Entry[]): Blob {
  const parts: BlobPart[] = [];
  const central: BlobPart[] = [];
  let at = 0;
  let length = 0;
  for (const { name, content } of entries) {
    const title = new TextEncoder().encode(name);
    const common = new DataView(new ArrayBuffer(26));
    // Version 2.0, names in UTF-8, stored, 1 January 1980.
    [20, 0x800, 0, 0, 0x21].forEach((value, n) => common.setUint16(2 * n, value, true));
    common.setUint32(10, crc32(content), true);
    common.setUint32(14, content.length, true);
    common.setUint32(18, content.length, true);
    common.setUint16(22, title.length, true);
    const local = Uint8Array.of(0x50, 0x4b, 3, 4);
    parts.push(local, common.buffer, title, content);
    const tail = new DataView(new ArrayBuffer(14));
    tail.setUint32(10, at, true);
    central.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), common.buffer, tail.buffer, title);
    at += 30 + title.length + content.length;
    length += 46 + title.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, length, true);
  end.setUint32(16, at, true);
  return new Blob([...parts, ...central, end.buffer], { type: "application/zip" });
}

/** Every photograph without a receipt, signed; null if there is none. */
export async function packageOf(device: Enrolment): Promise<File | null> {
  const entries: Entry[] = [];
  const listed = [];
  for (const picture of await pictures()) {
    if (!picture.confirmed || picture.mark === "acuse" || picture.mark === "rechazada") continue;
    const content = await original(picture.sha256);
    if (!content) continue;
    const signed = await announce(picture.id!, (each, number) => signedHeaders(device, each, number));
    const name = `${String(signed.number).padStart(4, "0")}-${picture.sha256.slice(0, 12)}.${extension(picture.type)}`;
    entries.push({ name, content: new Uint8Array(content) });
    listed.push({ archivo: name, encabezados: signed.headers });
  }
  if (!entries.length) return null;
  const told = { formato: 1, dispositivo: device.dispositivo, hecho: momentWithOffset(new Date()), imagenes: listed };
  entries.unshift({ name: "paquete.json", content: new TextEncoder().encode(JSON.stringify(told, null, 1)) });
  return new File([zip(entries)], `prep-${device.dispositivo}-${Date.now()}.zip`, { type: "application/zip" });
}

const extension = (type: string): string => ({ "image/png": "png", "image/webp": "webp", "application/pdf": "pdf" })[type] ?? "jpg";

/** Hand the package to another application of the phone, or to its downloads. */
export async function share(file: File): Promise<void> {
  if (navigator.canShare?.({ files: [file] })) {
    try {
      return await navigator.share({ files: [file], title: file.name });
    } catch (error) {
      if ((error as DOMException).name === "AbortError") return;
    }
  }
  download(file, file.name);
}

export function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
