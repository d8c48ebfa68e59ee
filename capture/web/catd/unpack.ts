// Reads the package that a telephone shares (phone/pack.ts makes it): a ZIP whose files are not compressed.

export interface Packed {
  name: string;
  content: Uint8Array<ArrayBuffer>;
  headers: Record<string, string>;
}

/** The images of a package; null if the file is none. */
export function unpack(bytes: ArrayBuffer): Packed[] | null {
  try {
    const files = stored(bytes);
    const told = JSON.parse(new TextDecoder().decode(files.get("paquete.json"))) as {
      formato: number;
      imagenes: { archivo: string; encabezados: Record<string, string> }[];
    };
    if (told.formato !== 1) return null;
    return told.imagenes.map(({ archivo, encabezados }) => {
      const content = files.get(archivo);
      if (!content || !Object.keys(encabezados).every((name) => name.startsWith("X-PREP-"))) throw new Error();
      return { name: archivo, content, headers: encabezados };
    });
  } catch {
    return null;
  }
}

/** The files of a ZIP by their names. Throws if it is damaged, or compressed. */
function stored(bytes: ArrayBuffer): Map<string, Uint8Array<ArrayBuffer>> {
  const view = new DataView(bytes);
  let end = bytes.byteLength - 22;
  while (view.getUint32(end, true) !== 0x06054b50) end -= 1;
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  let at = view.getUint32(end + 16, true);
  for (let n = view.getUint16(end + 10, true); n > 0; n--) {
    if (view.getUint32(at, true) !== 0x02014b50 || view.getUint16(at + 10, true) !== 0) throw new Error();
    const size = view.getUint32(at + 20, true);
    const title = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(bytes, at + 46, title));
    const local = view.getUint32(at + 42, true);
    const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    found.set(name, new Uint8Array(bytes.slice(from, from + size)));
    at += 46 + title + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return found;
}
