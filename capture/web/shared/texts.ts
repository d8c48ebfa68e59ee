// The texts of a screen. The source is Spanish; another language is fetched once, before the screen is shown.

export type Language = "es" | "en";
const KEPT = "prep.idioma";

let translated: Record<string, string> = {};
let language: Language = "es";

/** The text in the language of the screen; `{name}` in it is replaced. */
export function t(spanish: string, values: Record<string, string | number> = {}): string {
  const text = translated[spanish] ?? spanish;
  return text.replace(/\{(\w+)\}/g, (whole, key: string) => String(values[key] ?? whole));
}

/** Names a text that `t` will say later, so that it gets its translation. */
export const mark = (spanish: string): string => spanish;

export const languageNow = (): Language => language;

/** Loads the language that the person chose before. If its texts cannot be had, the screen is Spanish. */
export async function loadTexts(): Promise<void> {
  const chosen = localStorage.getItem(KEPT);
  if (chosen === "en") {
    try {
      const answer = await fetch("/pantallas/texts-en.json");
      if (answer.ok) {
        translated = (await answer.json()) as Record<string, string>;
        language = "en";
      }
    } catch {
      // Spanish it is.
    }
  }
  document.documentElement.lang = language === "es" ? "es-MX" : "en";
}

/** Keeps the choice and shows the page anew. The screen itself keeps the values that were typed. */
export function chooseLanguage(chosen: Language): void {
  localStorage.setItem(KEPT, chosen);
  location.reload();
}

const hours = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat(language === "es" ? "es-MX" : "en", options);

/** «18:30:05» of an ISO moment, in the time of this machine. */
export const clockTime = (iso: string): string =>
  hours({ hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }).format(new Date(iso));

/** «3 min», «2 h 5 min»: an age in words. */
export function age(milliseconds: number): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  if (minutes < 1) return t("menos de 1 min");
  if (minutes < 60) return t("{m} min", { m: minutes });
  return t("{h} h {m} min", { h: Math.floor(minutes / 60), m: minutes % 60 });
}
