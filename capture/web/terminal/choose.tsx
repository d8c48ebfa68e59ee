// A choice among three different captures, by a person who typed none of them: only what differs is shown.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { TaskAnswer } from "../shared/openapi";
import { t } from "../shared/texts";
import { moveImage, said } from "./keys";
import { type Mover, Picture } from "./picture";
import { nameOf, type Sent } from "./work";

interface Props {
  task: TaskAnswer;
  busy: boolean;
  onSend: (values: Sent) => void;
  children?: ComponentChildren;
}

export function ChooseTask({ task, busy, onSend, children }: Props) {
  const shown = task.capturas ?? [];
  const [index, setIndex] = useState(0);
  const [chosen, setChosen] = useState<number | null>(null);
  const [moving, setMoving] = useState(false);
  const [hint, setHint] = useState("");
  const mover = useRef<Mover>(null);
  const table = useRef<HTMLTableElement>(null);
  useEffect(() => table.current?.focus({ preventScroll: true }), []);
  const send = () => (chosen === null ? setHint(t("Elija primero con 1, 2 o 3.")) : onSend(shown[chosen] as Sent));

  function onKey(event: KeyboardEvent): void {
    if (busy) return;
    if (moving) {
      const still = moveImage(event, mover.current, () => {});
      if (still !== null) event.preventDefault();
      if (still === false) setMoving(false);
      return;
    }
    if (event.target instanceof HTMLButtonElement && event.key === "Enter") return;
    const does = said(event);
    if (does === null) return;
    event.preventDefault();
    const last = task.campos.length - 1;
    if (does.do === "digit") {
      const number = Number(does.digit) - 1;
      if (number >= 0 && number < shown.length) {
        setChosen(number);
        setHint("");
      }
    } else if (does.do === "enter" && !event.repeat) send();
    else if (does.do === "next") setIndex(Math.min(last, index + 1));
    else if (does.do === "back") setIndex(Math.max(0, index - 1));
    else if (does.do === "image") setMoving(true);
  }

  return (
    <div class="work" onKeyDown={onKey}>
      <Picture task={task} field={task.campos[index] ?? null} index={index} share={0.5} mover={mover} />
      <section class="fields" aria-label={t("Tres capturas distintas")}>
        {children}
        <p>{t("Tres personas capturaron esta acta y difieren en esto. ¿Cuál dice lo que dice el acta?")}</p>
        <table class="choice" tabIndex={0} ref={table} aria-describedby="ayuda">
          <thead>
            <tr>
              <th scope="col">{t("Campo")}</th>
              {shown.map((_, each) => (
                <th scope="col" class={each === chosen ? "number chosen" : "number"} key={each}>
                  {each + 1}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {task.campos.map((listed, row) => (
              <tr key={listed.codigo} class={row === index ? "now" : ""} onClick={() => setIndex(row)}>
                <th scope="row">{nameOf(listed)}</th>
                {shown.map((values, each) => (
                  <td class={each === chosen ? "number chosen" : "number"} key={each}>
                    {String(values[listed.codigo])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        <div class="buttons">
          {shown.map((_, each) => (
            <button type="button" key={each} aria-pressed={each === chosen} onClick={() => setChosen(each)}>
              {t("La {n}", { n: each + 1 })}
            </button>
          ))}
        </div>
        <div class="told" role="status">
          {hint && <p class="notice">{hint}</p>}
          {chosen !== null && <p>{t("Enter guarda la captura {n}.", { n: chosen + 1 })}</p>}
        </div>
        <button class="primary send" type="button" aria-disabled={busy || chosen === null} onClick={send}>
          {busy ? t("Guardando…") : t("Enviar (Enter)")}
        </button>
      </section>
      <p id="ayuda" class={moving ? "help moving" : "help"} aria-live="polite">
        {moving ? t("Imagen: 8 2 4 6 mueven · + − acercan · 5 gira · 0 tira o forma · punto termina") : t("1, 2 o 3 eligen · Enter guarda · − y + cambian de campo · punto mueve la imagen")}
      </p>
    </div>
  );
}
