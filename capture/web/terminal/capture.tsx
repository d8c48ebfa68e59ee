// A capture: the fields of the form beside its image, or one strip and one input. Typed blind, with the keyboard alone.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { CaptureBody, TaskAnswer } from "../shared/openapi";
import { t } from "../shared/texts";
import { moveImage, onlyKeys, said } from "./keys";
import { type Mover, Picture } from "./picture";
import { firstEmpty, ILEGIBLE, isMark, keepDraft, keyOf, nameOf, readDraft, SIN_DATO, toSend, type Values, warnings, withDigit, withoutLast } from "./work";

interface Props {
  task: TaskAnswer;
  user: string;
  busy: boolean;
  onSend: (capture: CaptureBody) => void;
  children?: ComponentChildren;
}

const STRIP = "prep.tira";

export function CaptureTask({ task, user, busy, onSend, children }: Props) {
  const fields = task.campos;
  const draft = useMemo(() => readDraft(user, task), []);
  const [values, setValues] = useState<Values>(draft?.values ?? {});
  const [letters, setLetters] = useState<string[]>(draft?.letters ?? []);
  const [index, setIndex] = useState(() => {
    const empty = firstEmpty(fields, values);
    return empty < 0 ? fields.length : empty;
  });
  const [moving, setMoving] = useState(false);
  const [strip, setStrip] = useState(() => localStorage.getItem(STRIP) === "1");
  const [hint, setHint] = useState("");
  const [kept, setKept] = useState(true);
  const fresh = useRef(true);
  const keys = useRef(0);
  const began = useRef(performance.now());
  const mover = useRef<Mover>(null);
  const input = useRef<HTMLElement | null>(null);

  const field = fields[index] ?? null;
  const complete = firstEmpty(fields, values) < 0;
  const warned = useMemo(
    () => (complete ? warnings(fields, values, task.acta?.limite ?? null) : []),
    [complete, values, fields],
  );

  useLayoutEffect(() => {
    fresh.current = true;
    input.current?.focus({ preventScroll: true });
    input.current?.scrollIntoView({ block: "nearest" });
  }, [index, strip]);
  // Each key is kept before the next one comes: the browser may end at any moment.
  useLayoutEffect(() => {
    if (Object.keys(values).length || letters.length) setKept(keepDraft(user, { key: keyOf(task), values, letters, at: Date.now() }));
  }, [values, letters]);

  const write = (code: string, typed: string) => {
    setHint("");
    setValues((before) => ({ ...before, [code]: typed }));
  };
  const go = (to: number) => {
    setHint("");
    setIndex(Math.min(fields.length, Math.max(0, to)));
  };
  const toggleStrip = () => {
    localStorage.setItem(STRIP, strip ? "0" : "1");
    setStrip(!strip);
  };
  function send(): void {
    const valores = toSend(fields, values);
    if (valores) {
      // Of an acta that was begun before a reload nobody knows how long it took.
      const effort = draft ? {} : { milisegundos: Math.round(performance.now() - began.current), teclas: keys.current };
      return onSend({ valores, letras: letters, ...effort });
    }
    go(firstEmpty(fields, values));
    setHint(t("Falta este campo: escriba su número, o * si es ilegible, o / si está en blanco."));
  }

  const toggleLetters = () => {
    if (field) setLetters((before) => (before.includes(field.codigo) ? before.filter((each) => each !== field.codigo) : [...before, field.codigo]));
  };

  function onKey(event: KeyboardEvent): void {
    if (busy) return;
    keys.current++;
    if (moving) {
      const still = moveImage(event, mover.current, toggleStrip, toggleLetters);
      if (still !== null) event.preventDefault();
      if (still === false) setMoving(false);
      return;
    }
    const does = said(event);
    if (does === null) return;
    event.preventDefault();
    switch (does.do) {
      case "enter":
        if (event.repeat) return; // a key that is held down sends nothing
        if (field === null) send();
        else if (values[field.codigo]) go(index + 1);
        else setHint(t("Escriba el número, o * si es ilegible, o / si está en blanco."));
        return;
      case "next":
        return go(index + 1);
      case "back":
        return go(index - 1);
      case "image":
        return setMoving(true);
      case "letters":
        return toggleLetters();
    }
    if (field === null) return;
    const typed = values[field.codigo] ?? "";
    switch (does.do) {
      case "digit":
        write(field.codigo, withDigit(typed, does.digit, fresh.current, field.digitos));
        break;
      case "erase":
        write(field.codigo, fresh.current ? "" : withoutLast(typed));
        break;
      case "ilegible":
        write(field.codigo, ILEGIBLE);
        break;
      case "sin dato":
        write(field.codigo, SIN_DATO);
        break;
    }
    fresh.current = false;
  }

  const box = (each: number) => {
    const { codigo } = fields[each]!;
    const typed = values[codigo] ?? "";
    return (
      <input
        id={`campo-${each}`}
        ref={each === index ? (element: HTMLElement | null) => void (input.current = element) : null}
        class={isMark(typed) ? "value word" : "value"}
        value={typed === ILEGIBLE ? t("ilegible") : typed === SIN_DATO ? t("sin dato") : typed}
        inputMode="numeric"
        autocomplete="off"
        spellcheck={false}
        aria-label={letters.includes(codigo) ? t("{c} (letra y número no coinciden)", { c: nameOf(fields[each]!) }) : nameOf(fields[each]!)}
        aria-describedby="ayuda"
        onFocus={() => each !== index && go(each)}
        onBeforeInput={onlyKeys}
        onPaste={(event) => event.preventDefault()}
        onDrop={(event) => event.preventDefault()}
      />
    );
  };
  const sendButton = (
    <button
      class="primary send"
      type="button"
      ref={field === null ? (element: HTMLElement | null) => void (input.current = element) : null}
      aria-disabled={busy || !complete}
      onFocus={() => index !== fields.length && go(fields.length)}
      onClick={send}
    >
      {busy ? t("Guardando…") : t("Enviar (Enter)")}
    </button>
  );
  const told = (
    <div class="told" role="status">
      {hint && <p class="notice">{hint}</p>}
      {warned.map((each) => (
        <p class="notice" key={each}>
          {each}
        </p>
      ))}
      {!kept && <p class="bad">{t("Este navegador no puede guardar lo tecleado: no cierre la ventana.")}</p>}
    </div>
  );

  return (
    <div class={strip ? "work strip" : "work"} onKeyDown={onKey}>
      <Picture task={task} field={field} index={index} share={strip ? 0.8 : 0.5} mover={mover} />
      {strip ? (
        <section class="one" aria-label={t("Campos del acta")}>
          {children}
          {field ? (
            <>
              <p class="soft count">{t("Campo {n} de {t}", { n: index + 1, t: fields.length })}</p>
              <label for={`campo-${index}`}>
                {nameOf(field)} {letters.includes(field.codigo) && <Differ />}
              </label>
              {box(index)}
            </>
          ) : (
            <p class="count">{t("Acta completa: Enter la envía, − regresa.")}</p>
          )}
          {told}
          {!field && sendButton}
        </section>
      ) : (
        <section class="fields" aria-label={t("Campos del acta")}>
          {children}
          <ol>
            {fields.map((listed, each) => (
              <li key={listed.codigo} class={each === index ? "now" : ""}>
                <label for={`campo-${each}`}>
                  {nameOf(listed)} {letters.includes(listed.codigo) && <Differ />}
                </label>
                {box(each)}
              </li>
            ))}
          </ol>
          {told}
          {sendButton}
        </section>
      )}
      <p id="ayuda" class={moving ? "help moving" : "help"} aria-live="polite">
        {moving ? t("Imagen: 8 2 4 6 mueven · + − acercan · 5 gira · 0 tira o forma · 9 letra ≠ número · punto termina") : t("Dígitos y Enter · * ilegible · / sin dato · c letra ≠ número · − regresa · + avanza · punto mueve la imagen")}
      </p>
    </div>
  );
}

const Differ = () => (
  <span class="differ" title={t("letra y número no coinciden")}>
    {t("letra ≠")}
  </span>
);
