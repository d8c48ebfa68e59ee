// The gate of a screen: who works here, and requests that outlive a broken line, a busy server and an ended session.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { call, Refusal, Unreachable } from "./api";
import type { Ask } from "./find_acta";
import { isLoggedOut, Login, type Person, whoAmI } from "./session";
import { mark, t } from "./texts";

export interface Session {
  /** Undefined while the screen opens; null if nobody is logged in. */
  person: Person | null | undefined;
  /** The session ended in the middle of the work: what was typed stays, under a form to log in again. */
  locked: boolean;
  /** Why the last request still waits; empty if none does. */
  trouble: string;
  /** Throws every refusal that another try cannot mend. */
  ask: Ask;
  enter: (person: Person) => void;
}

const BROKEN = mark("No hay conexión con el servidor. Lo tecleado sigue aquí; se intenta de nuevo.");

export function useSession(): Session {
  const [person, setPerson] = useState<Person | null | undefined>(undefined);
  const [locked, setLocked] = useState(false);
  const [trouble, setTrouble] = useState("");
  const waiting = useRef<(() => void)[]>([]);

  const ask: Ask = async (name, body, asked = {}) => {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await call(name, body, asked);
        setTrouble("");
        return answer;
      } catch (error) {
        if (isLoggedOut(error)) {
          setLocked(true);
          await new Promise<void>((done) => waiting.current.push(done));
        } else if (error instanceof Unreachable) {
          setTrouble(t(BROKEN));
          await pause(Math.min(500 * 2 ** tries, 8000));
        } else if (error instanceof Refusal && (error.status === 503 || error.status === 429)) {
          setTrouble(error.message);
          await pause((error.retryAfter ?? 3) * 1000);
        } else throw error;
      }
    }
  };

  useEffect(() => {
    void (async () => {
      for (;;) {
        try {
          setPerson(await whoAmI());
          setTrouble("");
          return;
        } catch {
          setTrouble(t(BROKEN));
          await pause(2000);
        }
      }
    })();
  }, []);

  function enter(entered: Person): void {
    if (person && person.usuario !== entered.usuario) {
      // Another person: the screen begins anew, and nothing of the first one stays.
      location.reload();
      return;
    }
    setPerson(entered);
    setLocked(false);
    for (const go of waiting.current.splice(0)) go();
  }
  return { person, locked, trouble, ask, enter };
}

interface GateProps {
  session: Session;
  title: string;
  children: ComponentChildren;
}

/** The screen behind its gate. While the session is locked, nothing behind it takes a key. */
export function Gate({ session: { person, locked, trouble, enter }, title, children }: GateProps) {
  if (person === undefined) {
    return (
      <main class="login">
        <p role="status">{trouble || t("Abriendo…")}</p>
      </main>
    );
  }
  if (person === null) return <Login title={title} onLogin={enter} />;
  return (
    <>
      <div class="screen" inert={locked}>
        {children}
      </div>
      {locked && <Lock title={title} onLogin={enter} />}
    </>
  );
}

/** Over everything, also over an open dialog; nothing but a login closes it. */
function Lock({ title, onLogin }: { title: string; onLogin: (person: Person) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog class="lock" ref={dialog} aria-label={t("Entrar otra vez")} onCancel={(event) => event.preventDefault()}>
      <Login title={title} why={t("La sesión terminó. Lo tecleado sigue aquí: entre otra vez para continuar.")} onLogin={onLogin} />
    </dialog>
  );
}

/** Waits, but not longer than until the line is back. */
export const pause = (milliseconds: number): Promise<void> =>
  new Promise((done) => {
    const timer = setTimeout(finish, milliseconds);
    function finish(): void {
      clearTimeout(timer);
      removeEventListener("online", finish);
      done();
    }
    addEventListener("online", finish);
  });
