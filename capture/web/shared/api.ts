// The client of capture's API, typed by docs/openapi.json. The session is a cookie that no script reads.
import type { Operations } from "./openapi";

export type Name = keyof Operations;

/** What the server refused: its sentence for the person, its code for the program. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    sentence: string,
    readonly retryAfter: number | null = null,
  ) {
    super(sentence);
  }
}

/** The server could not be reached, or gave no answer in time. The same request may be sent again. */
export class Unreachable extends Error {}

export interface Asked {
  path?: Record<string, string | number>;
  query?: Record<string, string | number>;
  seconds?: number;
  /** The body, if it is a file. */
  bytes?: ArrayBuffer;
}

const SECONDS = 20;

/** How much later the server's clock is than this machine's, in ms: its `Date` of the last answer says so. */
let ahead = 0;
/** The server's now: a lease ends by the server's clock, and the clock of a borrowed machine may be wrong. */
export const serverNow = (): number => Date.now() + ahead;

/** One request. Resolves to null if the answer has no body. Throws Refusal or Unreachable. */
export async function call<N extends Name>(
  name: N,
  body: Operations[N]["body"],
  asked: Asked = {},
): Promise<Operations[N]["answer"]> {
  const answer = await fetchAnswer(name, body, asked);
  if (answer.status === 204) return null as Operations[N]["answer"];
  try {
    return (await answer.json()) as Operations[N]["answer"];
  } catch {
    throw new Unreachable();
  }
}

/** The bytes of an image that the answer of a task names. */
export async function fetchImage(path: string): Promise<Blob> {
  const answer = await send(path, { method: "GET" }, 60);
  try {
    return await answer.blob();
  } catch {
    throw new Unreachable();
  }
}

async function fetchAnswer(name: Name, body: unknown, { path, query, seconds, bytes }: Asked): Promise<Response> {
  const [method, pattern] = name.split(" ") as [string, string];
  let address = pattern.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(String(path?.[key] ?? "")));
  if (query) {
    address += `?${new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))}`;
  }
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  if (bytes) {
    init.body = bytes;
    init.headers = { "Content-Type": "application/octet-stream" };
  }
  return send(address, init, seconds ?? SECONDS);
}

async function send(address: string, init: RequestInit, seconds: number): Promise<Response> {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), seconds * 1000);
  let answer: Response;
  try {
    answer = await fetch(address, { ...init, credentials: "same-origin", cache: "no-store", signal: control.signal });
  } catch {
    throw new Unreachable();
  } finally {
    clearTimeout(timer);
  }
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // The header tells whole seconds: a small difference is none.
  if (!Number.isNaN(date) && Math.abs(date - Date.now() - ahead) > 2000) ahead = date - Date.now();
  if (answer.ok) return answer;
  throw await refusalOf(answer);
}

async function refusalOf(answer: Response): Promise<Error> {
  const after = Number(answer.headers.get("Retry-After"));
  try {
    const said = (await answer.json()) as { error?: unknown; codigo?: unknown };
    if (typeof said.error === "string" && typeof said.codigo === "string") {
      return new Refusal(answer.status, said.codigo, said.error, after || null);
    }
  } catch {
    // Not from capture: a proxy said it.
  }
  return answer.status >= 500 ? new Unreachable() : new Refusal(answer.status, "", `HTTP ${answer.status}`, after || null);
}
