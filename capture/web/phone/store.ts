// What the phone keeps, in IndexedDB: its enrolment, and each photograph with how far it has come.
//
// A photograph is kept before anything else is done with it: its bytes and its digest in one transaction, which the
// browser is asked to put on the disk. Its number is given when it is first sent, and is spent by a receipt alone.
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { EnrolmentAnswer } from "../shared/openapi";

export interface Enrolment extends EnrolmentAnswer {
  /** Made here; no script can read it out. */
  key: CryptoKey;
}

/** guardada: its bytes are here. enviada: the server has them all. acuse: the receipt is here and right. */
export type Mark = "guardada" | "enviada" | "acuse" | "rechazada";

export interface Picture {
  id?: number;
  sha256: string;
  bytes: number;
  type: string;
  /** Where and with what it was taken; absent: at the casilla, with this telephone. */
  origin?: "CASILLA" | "CATD";
  kind?: "movil" | "escaner";
  /** What it is, if it is not the acta itself. */
  document?: "Constancia sin imagen";
  /** The name of its file, if a person brought one. */
  file?: string;
  /** When it was taken, with its offset. */
  taken: string;
  mark: Mark;
  /** Whether the person has said which acta it is, or that others shall say it. Only then it is sent. */
  confirmed: boolean;
  /** The text of the acta's QR code, as the person confirmed it; "" if unknown. */
  acta: string;
  /** What the QR code on it says; null if none was read. */
  read: string | null;
  advice: string[];
  /** The number of the device, and the signed headers, from the first try on. */
  number?: number;
  headers?: Record<string, string>;
  /** Where its upload goes on. */
  upload?: string;
  receipt?: string;
  /** The sentence of the last refusal. */
  said?: string;
}

interface Kept extends DBSchema {
  device: { key: "device"; value: Enrolment };
  pictures: { key: number; value: Picture; indexes: { sha256: string } };
  originals: { key: string; value: ArrayBuffer };
}

let opened: Promise<IDBPDatabase<Kept>> | null = null;

function database(): Promise<IDBPDatabase<Kept>> {
  opened ??= openDB<Kept>("prep-casilla", 1, {
    upgrade(db) {
      db.createObjectStore("device");
      db.createObjectStore("pictures", { keyPath: "id", autoIncrement: true }).createIndex("sha256", "sha256", { unique: true });
      db.createObjectStore("originals");
    },
  });
  return opened;
}

export const enrolment = async (): Promise<Enrolment | undefined> => (await database()).get("device", "device");

export async function keepEnrolment(device: Enrolment): Promise<void> {
  await (await database()).put("device", device, "device");
  // Without it a browser that runs out of room may drop photographs.
  await navigator.storage?.persist?.().catch(() => false);
}

export const pictures = async (): Promise<Picture[]> => (await database()).getAll("pictures");

export const original = async (sha256: string): Promise<ArrayBuffer | undefined> =>
  (await database()).get("originals", sha256);

/** Keep a new photograph; the same bytes again are the same photograph. Throws QuotaExceededError. */
export async function keepPicture(picture: Picture, content: ArrayBuffer): Promise<Picture> {
  const db = await database();
  for (;;) {
    const tx = db.transaction(["pictures", "originals"], "readwrite", { durability: "strict" });
    try {
      const known = await tx.objectStore("pictures").index("sha256").get(picture.sha256);
      if (known) return known;
      await tx.objectStore("originals").put(content, picture.sha256);
      const id = await tx.objectStore("pictures").add(picture);
      await tx.done;
      return { ...picture, id };
    } catch (error) {
      await tx.done.catch(() => undefined);
      // The bytes of a photograph with a receipt are safe elsewhere: they make room.
      if (!isFull(error) || !(await dropOldestSafe())) throw error;
    }
  }
}

export const isFull = (error: unknown): boolean => (error as DOMException)?.name === "QuotaExceededError";

async function dropOldestSafe(): Promise<boolean> {
  const db = await database();
  for (const each of await db.getAll("pictures")) {
    if (each.mark === "acuse" && (await db.getKey("originals", each.sha256))) {
      await db.delete("originals", each.sha256);
      return true;
    }
  }
  return false;
}

/** Change a photograph's record: what `change` names, and no more. */
export async function update(id: number, change: Partial<Picture>): Promise<Picture> {
  const tx = (await database()).transaction("pictures", "readwrite", { durability: "strict" });
  const now = { ...(await tx.store.get(id))!, ...change };
  await tx.store.put(now);
  await tx.done;
  return now;
}

/** Forget the number and the signature: the photograph gets others when it is sent again. */
export async function forgetNumber(id: number, change: Partial<Picture>): Promise<void> {
  const tx = (await database()).transaction("pictures", "readwrite", { durability: "strict" });
  const { number: _number, headers: _headers, upload: _upload, ...rest } = (await tx.store.get(id))!;
  await tx.store.put({ ...rest, ...change });
  await tx.done;
}

/** The headers of a photograph, with its number: made once, and kept before anything leaves the phone. */
export async function announce(
  id: number,
  sign: (picture: Picture, number: number) => Promise<Record<string, string>>,
  spent: ReadonlySet<number> = new Set(),
): Promise<Picture> {
  return alone("prep-numero", async () => {
    const all = await pictures();
    const picture = all.find((each) => each.id === id)!;
    if (picture.headers) return picture;
    const number = nextNumber(all, spent);
    return update(id, { number, headers: await sign(picture, number) });
  });
}

/** The number of the next photograph: the smallest one that no photograph of this device has. */
export function nextNumber(all: readonly Picture[], spent: ReadonlySet<number>): number {
  const used = new Set([...spent, ...all.flatMap((each) => each.number ?? [])]);
  let number = 1;
  while (used.has(number)) number += 1;
  return number;
}

/** One at a time, also if the page is open twice. */
export const alone = <Found>(name: string, doing: () => Promise<Found>): Promise<Found> =>
  navigator.locks ? (navigator.locks.request(name, doing) as Promise<Found>) : doing();
