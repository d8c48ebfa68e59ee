// Where the image stands in its window: the strip of a field when its corners are known, else a zoom that each form remembers.
import type { FieldOfForm } from "../shared/openapi";

export interface Size {
  width: number;
  height: number;
}

/** A place of plain zoom: the middle of the window in fractions of the image, and how many windows wide the image is. */
export interface Place {
  x: number;
  y: number;
  zoom: number;
  turn: number;
}

export const WHOLE: Place = { x: 0.5, y: 0.5, zoom: 1, turn: 0 };
const MOST = 8;

export const moved = (place: Place, right: number, down: number): Place => ({
  ...place,
  x: clamp(place.x + right / place.zoom),
  y: clamp(place.y + down / place.zoom),
});
export const zoomed = (place: Place, by: number): Place => ({
  ...place,
  zoom: Math.min(MOST, Math.max(0.5, place.zoom * by)),
});
export const turned = (place: Place): Place => ({ ...place, turn: (place.turn + 90) % 360 });
const clamp = (fraction: number): number => Math.min(1, Math.max(0, fraction));

/** The CSS transform of an image of this natural size in this window. */
export function plainTransform(place: Place, image: Size, window: Size): string {
  const sideways = place.turn % 180 !== 0;
  const fits = Math.min(
    window.width / (sideways ? image.height : image.width),
    // At zoom 1 the width fits: an acta is read from top to bottom. A picture that lies on its side fits whole.
    sideways ? window.height / image.width : Infinity,
  );
  const scale = fits * place.zoom;
  return (
    `translate(${window.width / 2}px, ${window.height / 2}px) rotate(${place.turn}deg) scale(${scale}) ` +
    `translate(${-place.x * image.width}px, ${-place.y * image.height}px)`
  );
}

type Point = [number, number];

export interface Strip {
  transform: string;
  /** Where the strip stands in the window, in pixels. */
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The strip of a field, made level and as large as it fits; null if its corners are not known, or span nothing. */
export function stripTransform(recorte: FieldOfForm["recorte"], image: Size, window: Size, share: number): Strip | null {
  if (!recorte || recorte.length !== 4) return null;
  const corners = recorte.map(([x, y]): Point => [((x ?? 0) / 10_000) * image.width, ((y ?? 0) / 10_000) * image.height]);
  const [a, b, c, d] = corners as [Point, Point, Point, Point];
  const wide = (distance(a, b) + distance(d, c)) / 2;
  const high = (distance(a, d) + distance(b, c)) / 2;
  if (wide < 1 || high < 1) return null;
  const scale = Math.min((window.width * 0.94) / wide, (window.height * share) / high);
  const [width, height] = [wide * scale, high * scale];
  const [left, top] = [(window.width - width) / 2, (window.height - height) / 2];
  const matrix = homography(corners, [
    [left, top],
    [left + width, top],
    [left + width, top + height],
    [left, top + height],
  ]);
  if (matrix === null) return null;
  const [p, q, r, s, u, v, g, h] = matrix as [number, number, number, number, number, number, number, number];
  const css = [p, s, 0, g, q, u, 0, h, 0, 0, 1, 0, r, v, 0, 1].map((each) => Number(each.toPrecision(9)));
  return { transform: `matrix3d(${css.join(",")})`, left, top, width, height };
}

/** The middle of a field's strip as a place of plain zoom: from there a person moves on by hand. */
export function placeOf(recorte: FieldOfForm["recorte"], zoom: number): Place | null {
  if (!recorte || recorte.length !== 4) return null;
  const middle = (axis: 0 | 1) => recorte.reduce((sum, corner) => sum + (corner[axis] ?? 0), 0) / 40_000;
  return { x: middle(0), y: middle(1), zoom, turn: 0 };
}

const distance = (one: Point, other: Point): number => Math.hypot(one[0] - other[0], one[1] - other[1]);

/** The eight numbers of the projective map from four points to four others; null if there is none. */
export function homography(from: Point[], to: Point[]): number[] | null {
  const rows: number[][] = [];
  from.forEach(([x, y], index) => {
    const [u, v] = to[index]!;
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]);
  });
  for (let column = 0; column < 8; column++) {
    let best = column;
    for (let row = column + 1; row < 8; row++) {
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[best]![column]!)) best = row;
    }
    [rows[column], rows[best]] = [rows[best]!, rows[column]!];
    const pivot = rows[column]![column]!;
    if (Math.abs(pivot) < 1e-9) return null;
    for (let row = 0; row < 8; row++) {
      if (row === column) continue;
      const factor = rows[row]![column]! / pivot;
      for (let each = column; each < 9; each++) rows[row]![each]! -= factor * rows[column]![each]!;
    }
  }
  return rows.map((row, index) => row[8]! / row[index]!);
}

// The memory of plain zoom, by form and field. A form of the same election has its quantities at the same place.

const KEPT = "prep.vista.";
type Places = Record<string, Place>;

function places(form: string): Places {
  try {
    return JSON.parse(localStorage.getItem(KEPT + form) ?? "{}") as Places;
  } catch {
    return {};
  }
}

/** Where this field of this form was looked at last; else where another field of it was, nearest before it. */
export function remembered(form: string, fields: FieldOfForm[], index: number): Place | null {
  const known = places(form);
  for (let each = index; each >= 0; each--) {
    const place = known[fields[each]?.codigo ?? ""];
    if (place) return place;
  }
  return null;
}

export function remember(form: string, code: string, place: Place): void {
  try {
    localStorage.setItem(KEPT + form, JSON.stringify({ ...places(form), [code]: { ...place, turn: 0 } }));
  } catch {
    // The store is full: the place is not remembered, and nothing else is lost.
  }
}
