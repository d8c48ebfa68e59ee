// A look at a photograph before it is sent: advice, never a refusal. A bad picture is better than none.
import { mark } from "../shared/texts";

const SIDE = 640;
/** Long side of a photograph below which the digits of an acta are hard to read. */
const SMALL = 1600;

export const ADVICE = {
  small: mark("La foto es pequeña: acérquese, o use la cámara con toda su resolución."),
  dark: mark("La foto está muy oscura: busque luz."),
  blurred: mark("La foto parece movida o desenfocada: sostenga firme el teléfono."),
  cut: mark("La hoja no cabe completa: aléjese hasta ver las cuatro esquinas."),
  unread: mark("No se pudo leer el código QR de la etiqueta."),
  unknown: mark("El teléfono no puede mostrar esta foto; se envía tal como está."),
};

/** A photograph that was taken: what a person should know before sending it. */
export async function adviceOn(image: Blob): Promise<string[]> {
  try {
    const whole = await createImageBitmap(image);
    const long = Math.max(whole.width, whole.height);
    const factor = Math.min(1, SIDE / long);
    const small = await createImageBitmap(whole, {
      resizeWidth: Math.max(1, Math.round(whole.width * factor)),
      resizeHeight: Math.max(1, Math.round(whole.height * factor)),
      resizeQuality: "medium",
    });
    whole.close();
    const said = [...(long < SMALL ? [ADVICE.small] : []), ...seenIn(small, small.width, small.height)];
    small.close();
    return said;
  } catch {
    return [ADVICE.unknown];
  }
}

/** The frame that the camera shows now. Its size says nothing of the photograph's. */
export function adviceOnFrame(video: HTMLVideoElement): string[] {
  const factor = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
  const [width, height] = [Math.round(video.videoWidth * factor), Math.round(video.videoHeight * factor)];
  return width > 2 && height > 2 ? seenIn(video, width, height) : [];
}

/** What the light of a picture says, looked at in this size. */
function seenIn(source: CanvasImageSource, width: number, height: number): string[] {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(source, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const light = new Float32Array(width * height);
  for (let at = 0; at < light.length; at++) light[at] = (data[4 * at]! * 299 + data[4 * at + 1]! * 587 + data[4 * at + 2]! * 114) / 1000;
  const said = [];
  const sorted = Float32Array.from(light).sort();
  const bright = sorted[Math.floor(sorted.length * 0.9)]!;
  if (bright < 90) said.push(ADVICE.dark);
  if (sharpness(light, width, height) < 6) said.push(ADVICE.blurred);
  if (isCut(light, width, height, bright)) said.push(ADVICE.cut);
  return said;
}

/** The strongest edges of the picture: those of print on paper, if it is in focus. */
function sharpness(light: Float32Array, width: number, height: number): number {
  const edges = [];
  for (let y = 1; y < height - 1; y += 2) {
    for (let x = 1; x < width - 1; x += 2) {
      const at = y * width + x;
      edges.push(Math.abs(4 * light[at]! - light[at - 1]! - light[at + 1]! - light[at - width]! - light[at + width]!));
    }
  }
  edges.sort((one, other) => one - other);
  return edges[Math.floor(edges.length * 0.97)] ?? 0;
}

/** Whether paper touches one, two or three sides of the picture. All four: a scan, or a white table. */
function isCut(light: Float32Array, width: number, height: number, bright: number): boolean {
  const paper = bright * 0.75;
  const share = (from: number, step: number, count: number): number => {
    let found = 0;
    for (let n = 0; n < count; n++) if (light[from + n * step]! > paper) found += 1;
    return found / count;
  };
  const sides = [
    share(width + 1, 1, width - 2),
    share((height - 2) * width + 1, 1, width - 2),
    share(width + 1, width, height - 2),
    share(width + width - 2, width, height - 2),
  ];
  const touched = sides.filter((each) => each > 0.6).length;
  return touched > 0 && touched < 4;
}
