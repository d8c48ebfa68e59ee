// The session of a person on a screen: a form to log in, the person who is in, and the way out.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, Refusal, Unreachable } from "./api";
import type { ScreenSessionAnswer } from "./openapi";
import { chooseLanguage, languageNow, t } from "./texts";

export type Person = ScreenSessionAnswer;

/** The sentence that a person reads about an error. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof Unreachable) return t("No hay conexión con el servidor. Lo tecleado sigue aquí; se intenta de nuevo.");
  throw error;
}

export const isLoggedOut = (error: unknown): boolean => error instanceof Refusal && error.code === "sin_sesion";

/** The person whose session the browser holds; null if there is none. Throws Unreachable. */
export async function whoAmI(): Promise<Person | null> {
  try {
    return await call("GET /v1/session/cookie", undefined);
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

interface LoginProps {
  title: string;
  /** Why the form is shown in the middle of the work: the session ended. */
  why?: string;
  onLogin: (person: Person) => void;
}

export function Login({ title, why, onLogin }: LoginProps) {
  const user = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => user.current?.focus(), []);

  async function logIn(event: Event): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setSaid("");
    try {
      onLogin(await call("POST /v1/session/cookie", { usuario: user.current!.value, clave: password.current!.value }));
    } catch (error) {
      setSaid(sentenceOf(error));
      setBusy(false);
      password.current?.select();
    }
  }

  return (
    <main class="login">
      <form class="card" onSubmit={logIn}>
        <h1>{title}</h1>
        {why && <p class="notice">{why}</p>}
        <label for="usuario">{t("Usuario")}</label>
        <input id="usuario" ref={user} autocomplete="username" autocapitalize="none" spellcheck={false} maxLength={40} required />
        <label for="clave">{t("Clave")}</label>
        <input id="clave" ref={password} type="password" autocomplete="current-password" maxLength={200} required />
        <p class="said" role="alert">{said}</p>
        <button class="primary" type="submit" aria-disabled={busy}>
          {busy ? t("Entrando…") : t("Entrar")}
        </button>
        <LanguageButton />
      </form>
    </main>
  );
}

export function LanguageButton() {
  const other = languageNow() === "es" ? "en" : "es";
  return (
    <button class="plain" type="button" lang={other} onClick={() => chooseLanguage(other)}>
      {other === "en" ? "English" : "Español"}
    </button>
  );
}

interface BarProps {
  title: string;
  person: Person;
  onLogout: () => void;
  children?: ComponentChildren;
}

/** The bar above a screen: its title, what the screen adds, who works here, and the way out. */
export function Bar({ title, person, onLogout, children }: BarProps) {
  const [said, setSaid] = useState("");
  async function logOut(): Promise<void> {
    try {
      await call("DELETE /v1/session", undefined);
      onLogout();
    } catch (error) {
      setSaid(sentenceOf(error));
    }
  }
  return (
    <header class="bar">
      <h1>{title}</h1>
      <div class="grow">{children}</div>
      {said && <span role="alert">{said}</span>}
      <span class="who">
        {person.usuario} · {person.sitio}
      </span>
      <LanguageButton />
      <button class="plain" type="button" onClick={logOut}>
        {t("Salir")}
      </button>
    </header>
  );
}
