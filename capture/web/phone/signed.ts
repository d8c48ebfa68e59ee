// What a device signs and what it checks: its key, the headers of a photograph, and the receipt of the server.
import type { Enrolment, Picture } from "./store";

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
const base64 = (bytes: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const hex = (bytes: ArrayBuffer): string => [...new Uint8Array(bytes)].map((each) => each.toString(16).padStart(2, "0")).join("");

export const sha256 = async (content: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> =>
  hex(await crypto.subtle.digest("SHA-256", content));

export const sha256Base64 = async (content: ArrayBuffer): Promise<string> =>
  base64(await crypto.subtle.digest("SHA-256", content));

/** A new key of this device: the private half cannot be read out, the public one is told in base64. */
export async function newKey(): Promise<{ key: CryptoKey; told: string }> {
  const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"])) as CryptoKeyPair;
  return { key: pair.privateKey, told: base64(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

/** The door takes years from 2000 to 2099. A clock that was never set says 1970: the photograph goes all the same. */
const FIRST = Date.UTC(2000, 0, 3);
const LAST = Date.UTC(2099, 11, 29);

/** «2027-06-06T18:30:05-06:00»: a moment with the offset of this phone. */
export function momentWithOffset(said: Date): string {
  const at = new Date(Math.min(Math.max(said.getTime(), FIRST), LAST));
  const east = -at.getTimezoneOffset();
  const two = (number: number): string => String(Math.floor(Math.abs(number))).padStart(2, "0");
  const local = new Date(at.getTime() + east * 60_000).toISOString().slice(0, 19);
  return `${local}${east < 0 ? "-" : "+"}${two(east / 60)}:${two(east % 60)}`;
}

/** The signed headers of a photograph, as docs/api.md says (section 3). */
export async function signedHeaders(device: Enrolment, picture: Picture, number: number): Promise<Record<string, string>> {
  const values: [string, string][] = [
    ["Device", device.dispositivo],
    ["Sequence", String(number)],
    ["SHA256", picture.sha256],
    ["Origin", picture.origin ?? "CASILLA"],
    ["Kind", picture.kind ?? "movil"],
    ["Acopio", picture.taken],
    ["Acta", picture.acta],
    ["Traslado", ""],
    ["Document", picture.document ?? ""],
  ];
  const text = ["PREP-IMAGE-V1", ...values.map(([, value]) => value)].join("\n");
  const signature = await crypto.subtle.sign("Ed25519", device.key, new TextEncoder().encode(text));
  const headers = values.filter(([, value]) => value).map(([name, value]) => [`X-PREP-${name}`, value.replace(/%/g, "%25")]);
  return { ...Object.fromEntries(headers), "X-PREP-Signature": base64(signature) };
}

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** Sorted keys, no spaces: the bytes that the server signed. */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key]!)}`)
    .join(",")}}`;
}

/** Whether this is the receipt of that photograph, signed by the key that the phone was given when it enrolled. */
export async function receiptIsRight(receipt: string, picture: Picture, keyOfServer: string): Promise<boolean> {
  try {
    const { acuse, firma } = JSON.parse(receipt) as { acuse: Record<string, Json>; firma: string };
    const raw = bytesOf(keyOfServer);
    if (acuse.sha256 !== picture.sha256 || acuse.bytes !== picture.bytes) return false;
    if (acuse.clave !== (await sha256(raw)).slice(0, 8)) return false;
    const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, bytesOf(firma), new TextEncoder().encode(canonical(acuse)));
  } catch {
    return false;
  }
}

export const textOf = (base64Text: string): string => new TextDecoder().decode(bytesOf(base64Text));
