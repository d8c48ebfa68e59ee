// What a person types on an acta: the rules of its fields, its warnings, and the draft that survives everything.
import type { FieldOfForm, TaskAnswer } from "../shared/openapi";
import { t } from "../shared/texts";

/** The content of a field: digits, one of the two words, or nothing yet. */
export type Typed = string;
export const ILEGIBLE = "ilegible";
export const SIN_DATO = "sin dato";
export type Values = Record<string, Typed>;
export type Sent = Record<string, number | "ilegible" | "sin dato">;

export const isMark = (typed: Typed): boolean => typed === ILEGIBLE || typed === SIN_DATO;

/** The field after a digit. A digit takes the place of a word, and of the digits from before the person came back. */
export function withDigit(typed: Typed, digit: string, fresh: boolean, digits: number): Typed {
  if (fresh || isMark(typed)) return digit;
  return typed.length < digits ? typed + digit : typed;
}

/** The field after one step back: its last digit, or the whole word, is gone. */
export const withoutLast = (typed: Typed): Typed => (isMark(typed) ? "" : typed.slice(0, -1));

export const firstEmpty = (fields: FieldOfForm[], values: Values): number =>
  fields.findIndex(({ codigo }) => !values[codigo]);

/** The values as the server takes them; null if a field is empty. */
export function toSend(fields: FieldOfForm[], values: Values): Sent | null {
  const sent: Sent = {};
  for (const { codigo } of fields) {
    const typed = values[codigo];
    if (!typed) return null;
    sent[codigo] = typed === ILEGIBLE || typed === SIN_DATO ? typed : Number(typed);
  }
  return sent;
}

/** The name of a field. A catalogue may give the two rows of every ballot no name of their own. */
export function nameOf({ codigo, nombre }: FieldOfForm): string {
  if (nombre !== codigo) return nombre;
  if (codigo === "NO_REGISTRADAS") return t("Candidaturas no registradas");
  if (codigo === "NULOS") return t("Votos nulos");
  return nombre;
}

const number = (typed: Typed | undefined): number => (typed && !isMark(typed) ? Number(typed) : 0);

/** Sums that do not add up, of what this person typed alone. They warn, and decide nothing. */
export function warnings(fields: FieldOfForm[], values: Values, limit: number | null): string[] {
  const codes = fields.map(({ codigo }) => codigo);
  const [, people, representatives, ballots] = codes.slice(0, 4).map((code) => values[code]);
  const total = values[codes[codes.length - 1]!];
  const votes = codes.slice(4, -1).reduce((sum, code) => sum + number(values[code]), 0);
  const said = [];
  if (total && !isMark(total) && Number(total) !== votes) {
    said.push(t("Los votos suman {v} y el total asentado dice {t}.", { v: votes, t: Number(total) }));
  }
  if (limit !== null && votes > limit) {
    said.push(t("Los votos suman {v} y en esta casilla caben {l}.", { v: votes, l: limit }));
  }
  if ([people, representatives, ballots].every((each) => each && !isMark(each))) {
    const voted = number(people) + number(representatives);
    if (voted !== number(ballots)) {
      said.push(
        t("Votaron {v} personas y representantes y los votos sacados de la urna son {s}.", { v: voted, s: number(ballots) }),
      );
    }
  }
  return said;
}

// The draft. A closed window, a reload, a lost line or an ended session must lose nothing. It is kept at each key, in the
// browser of this machine, under the name of its person: it is never shown to another one, who must type blind.

export interface Draft {
  /** The image and the acta: the same work under another lease is the same draft. */
  key: string;
  values: Values;
  /** The fields whose letters and figures contradict each other. */
  letters: string[];
  at: number;
}

const PREFIX = "prep.borrador.";

export const keyOf = (task: TaskAnswer): string => `${task.tipo} ${task.imagen} ${task.acta?.eleccion ?? ""} ${task.acta?.clave ?? ""}`;

export function readDraft(user: string, task: TaskAnswer): Draft | null {
  try {
    const draft = JSON.parse(localStorage.getItem(PREFIX + user) ?? "null") as Draft | null;
    return draft?.key === keyOf(task) ? draft : null;
  } catch {
    return null;
  }
}

/** Whether the browser kept it: its store may be full, or switched off. */
export function keepDraft(user: string, draft: Draft): boolean {
  try {
    localStorage.setItem(PREFIX + user, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export const dropDraft = (user: string): void => localStorage.removeItem(PREFIX + user);

/** Another person begins to work here: drafts of others go, so that nobody reads them. */
export function dropDraftsOfOthers(user: string): void {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(PREFIX) && key !== PREFIX + user) localStorage.removeItem(key);
  }
}
