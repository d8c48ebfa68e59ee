// Which acta an image is, as one person says, blind to what the other said; or that nobody can tell.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { type Ask, FindActa, type FoundActa } from "../shared/find_acta";
import type { TaskAnswer } from "../shared/openapi";
import { t } from "../shared/texts";
import { moveImage } from "./keys";
import { type Mover, Picture } from "./picture";

interface Props {
  task: TaskAnswer;
  busy: boolean;
  ask: Ask;
  onSend: (identity: string) => void;
  children?: ComponentChildren;
}

export function IdentifyTask({ task, busy, ask, onSend, children }: Props) {
  const [acta, setActa] = useState<FoundActa | null>(null);
  const [nobody, setNobody] = useState(false);
  const [moving, setMoving] = useState(false);
  const mover = useRef<Mover>(null);
  const sendButton = useRef<HTMLButtonElement>(null);
  const form = useRef<HTMLElement>(null);
  const toSend = () => sendButton.current?.focus();

  function send(): void {
    if (nobody) onSend("");
    else if (acta) onSend(acta.identidad);
  }
  function move(event: KeyboardEvent): void {
    const still = moveImage(event, mover.current, () => {});
    if (still !== null) event.preventDefault();
    if (still === false) setMoving(false);
  }
  function onKey(event: KeyboardEvent): void {
    if (busy || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === ".") setMoving(true);
    else if (event.key === "*") {
      setNobody(!nobody);
      toSend();
    } else if (event.key === "-") [...form.current!.querySelectorAll<HTMLInputElement>(".find input")].at(-1)?.focus();
    else return;
    event.preventDefault();
  }

  return (
    <div
      class="work"
      onKeyDownCapture={(event) => {
        if (busy) return;
        if (moving) {
          event.stopPropagation();
          move(event);
        } else if (nobody && event.key === "Enter" && !(event.target instanceof HTMLButtonElement)) {
          event.stopPropagation();
          event.preventDefault();
          if (!event.repeat) send();
        }
      }}
      onKeyDown={onKey}
    >
      <Picture task={task} field={null} index={0} share={0.5} mover={mover} />
      <section class="fields" aria-label={t("¿De qué acta es esta imagen?")} ref={form}>
        {children}
        <p>{t("¿De qué acta es esta imagen?")}</p>
        <FindActa
          ask={ask}
          onFind={(found) => {
            setActa(found);
            if (found) setNobody(false);
          }}
          onDone={toSend}
        />
        <div class="told" role="status">
          {nobody && <p class="notice">{t("Enter dice que esta imagen no se puede identificar. * lo quita.")}</p>}
          {!nobody && acta && (
            <p class="asked">
              {t("Sección {s}, {c}, {e}: ¿es ésta? Enter lo guarda.", { s: acta.seccion, c: acta.casilla, e: acta.titulo })}
            </p>
          )}
        </div>
        <button class="primary send" type="button" ref={sendButton} aria-disabled={busy || !(nobody || acta)} onClick={send}>
          {busy ? t("Guardando…") : t("Enviar (Enter)")}
        </button>
        <button type="button" aria-pressed={nobody} onClick={() => setNobody(!nobody)}>
          {t("No se puede identificar (*)")}
        </button>
      </section>
      <p id="ayuda" class={moving ? "help moving" : "help"} aria-live="polite">
        {moving ? t("Imagen: 8 2 4 6 mueven · + − acercan · 5 gira · 0 tira o forma · punto termina") : t("Escriba número o nombre · Enter toma · − regresa · * no se puede identificar · punto mueve la imagen")}
      </p>
    </div>
  );
}
