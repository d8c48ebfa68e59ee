// The terminal: who works here, the task in hand, and a line that may break at any moment without a loss.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Refusal, serverNow } from "../shared/api";
import { Gate, pause, useSession } from "../shared/gate";
import type { Operations, TaskAnswer, TaskKind } from "../shared/openapi";
import { Bar } from "../shared/session";
import { t } from "../shared/texts";
import { CaptureTask } from "./capture";
import { ChooseTask } from "./choose";
import { IdentifyTask } from "./identify";
import { dropDraft, dropDraftsOfOthers, type Sent } from "./work";

const KINDS: TaskKind[] = ["captura", "identificacion", "resolucion"];
const POLL_SECONDS = 4;
/** An open screen before which nobody sits asks for no work, so that its session can end. */
const IDLE_MINUTES = 10;

export function Terminal() {
  const session = useSession();
  const { person, trouble, ask } = session;
  const [task, setTask] = useState<TaskAnswer | null>(null);
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState("");
  const [done, setDone] = useState(0);
  const [away, setAway] = useState(false);
  const lastKey = useRef(Date.now());
  const sending = useRef(false);
  const title = t("Captura de actas");

  useEffect(() => {
    const seen = () => {
      lastKey.current = Date.now();
      setAway(false);
    };
    addEventListener("keydown", seen, true);
    addEventListener("pointerdown", seen, true);
    return () => {
      removeEventListener("keydown", seen, true);
      removeEventListener("pointerdown", seen, true);
    };
  }, []);

  const user = person?.usuario ?? null;
  // Before the screen shows the new person, and not some time after it.
  useLayoutEffect(() => {
    if (user !== null) dropDraftsOfOthers(user);
  }, [user]);

  // Without a task: ask for one, and again after some seconds.
  useEffect(() => {
    if (!user || task !== null || busy || away) return;
    let gone = false;
    void (async () => {
      while (!gone) {
        try {
          const found = await ask("POST /v1/tasks/lease", { tipos: KINDS });
          if (gone) return;
          if (found) return take(found);
        } catch (error) {
          setTold(error instanceof Refusal ? error.message : String(error));
        }
        await pause(POLL_SECONDS * 1000);
        if (Date.now() - lastKey.current > IDLE_MINUTES * 60_000) return setAway(true);
      }
    })();
    return () => {
      gone = true;
    };
  }, [user, task, busy, away]);

  function take(next: TaskAnswer): void {
    setTask(next);
    setTold("");
  }

  /** Send an answer until the server has it; then its next task, or why it was not taken. */
  async function send<N extends "POST /v1/tasks/{tarea}/entry" | "POST /v1/tasks/{tarea}/identity" | "POST /v1/tasks/{tarea}/resolution">(
    name: N,
    body: Operations[N]["body"],
  ): Promise<void> {
    const from = task!;
    if (sending.current) return; // two quick keys are one answer
    sending.current = true;
    setBusy(true);
    setTold("");
    try {
      const answer = await ask(name, { ...body, siguiente: KINDS } as Operations[N]["body"], { path: { tarea: from.tarea } });
      dropDraft(user!);
      setDone((before) => before + 1);
      setTask(answer.siguiente ?? null);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === "tarea_vencida") await again(from);
      // The draft stays: if the same acta comes back later, so does all that was typed of it.
      else if (error.code === "persona_en_pausa") {
        setTask(null);
        setTold(error.message);
      }
      else if (error.status === 422) setTold(error.message);
      else {
        dropDraft(user!);
        setTask(null);
        setTold(error.message);
      }
    } finally {
      sending.current = false;
      setBusy(false);
    }
  }

  /** The lease ran out. If the acta still waits, it comes back with all that was typed; else another person has it. */
  async function again(from: TaskAnswer): Promise<void> {
    let found: TaskAnswer | null;
    try {
      found = await ask("POST /v1/tasks/lease", { tipos: KINDS });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setTask(null);
      return setTold(error.message);
    }
    const same = found !== null && found.imagen === from.imagen && found.acta?.clave === from.acta?.clave && found.tipo === from.tipo;
    setTask(found);
    setTold(
      same
        ? t("El plazo venció y se renovó: revise y envíe otra vez.")
        : t("El plazo venció y otra persona tiene ya esa acta. Aquí sigue la que toca."),
    );
  }

  async function giveBack(): Promise<void> {
    const { tarea } = task!;
    setBusy(true);
    try {
      await ask("POST /v1/tasks/{tarea}/release", undefined, { path: { tarea } });
      dropDraft(user!);
      setTask(null);
    } finally {
      setBusy(false);
    }
  }

  const header = task && (
    <Header key={task.tarea} task={task} trouble={trouble} told={told} busy={busy} onGiveBack={giveBack} />
  );
  // Another task is another component: nothing that was typed on one acta may stand on the next.
  const tarea = task?.tarea ?? "";
  const common = { task: task!, busy };
  return (
    <Gate session={session} title={title}>
      {person && (
        <Bar title={title} person={person} onLogout={() => location.reload()}>
          <span class="soft">{t("Guardadas en esta sesión: {n}", { n: done })}</span>
        </Bar>
      )}
      <main>
          {task === null && (
            <div class="waiting" role="status">
              {trouble ? <p class="notice">{trouble}</p> : told && <p class="notice">{told}</p>}
              {away ? (
                <p>{t("Pausa. Oprima cualquier tecla para seguir.")}</p>
              ) : (
                <p>{busy ? t("Guardando…") : t("No hay actas por capturar ahora. En cuanto llegue una, aparece aquí.")}</p>
              )}
            </div>
          )}
          {task?.tipo === "captura" && (
            <CaptureTask key={tarea} {...common} user={user ?? ""} onSend={(capture) => send("POST /v1/tasks/{tarea}/entry", capture)}>
              {header}
            </CaptureTask>
          )}
          {task?.tipo === "resolucion" && (
            <ChooseTask key={tarea} {...common} onSend={(valores: Sent) => send("POST /v1/tasks/{tarea}/resolution", { valores })}>
              {header}
            </ChooseTask>
          )}
          {task?.tipo === "identificacion" && (
            <IdentifyTask key={tarea} {...common} ask={ask} onSend={(identidad) => send("POST /v1/tasks/{tarea}/identity", { identidad })}>
              {header}
            </IdentifyTask>
          )}
      </main>
    </Gate>
  );
}

interface HeaderProps {
  task: TaskAnswer;
  trouble: string;
  told: string;
  busy: boolean;
  onGiveBack: () => void;
}

function Header({ task, trouble, told, busy, onGiveBack }: HeaderProps) {
  const { acta } = task;
  return (
    <div class="head">
      {acta ? (
        <h2>
          {acta.titulo}
          <span class="place">
            {t("Sección")} <b>{acta.seccion || "—"}</b> · {t("Casilla")} <b>{acta.casilla}</b> · {acta.municipio || acta.entidad}
          </span>
        </h2>
      ) : (
        <h2>{t("Identificación")}</h2>
      )}
      <div class="lease">
        <Countdown until={task.vence} />
        <button class="plain" type="button" aria-disabled={busy} onClick={onGiveBack}>
          {t("Devolver sin capturar")}
        </button>
      </div>
      {task.rarezas.map(({ codigo, texto }) => (
        <p class="notice" key={codigo}>
          {texto}
        </p>
      ))}
      <div role="alert">{(trouble || told) && <p class="notice">{trouble || told}</p>}</div>
    </div>
  );
}

function Countdown({ until }: { until: string }) {
  const end = Date.parse(until);
  const [left, setLeft] = useState(() => end - serverNow());
  useEffect(() => {
    const timer = setInterval(() => setLeft(end - serverNow()), 1000);
    return () => clearInterval(timer);
  }, [end]);
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  if (seconds === 0) return <span class="warned">{t("Plazo vencido: al enviar se pide otra vez")}</span>;
  return (
    <span class={seconds <= 60 ? "warned" : "soft"}>
      {t("Plazo")} <span role="timer">{clock}</span>
    </span>
  );
}
