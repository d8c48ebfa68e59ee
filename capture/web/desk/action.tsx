// One action: the sentence of what it will do, its reason, and only then the button.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { sentenceOf } from "../shared/session";
import { t } from "../shared/texts";
import { inWords } from "./words";

export interface Action {
  title: string;
  /** What it will do. */
  sentence: string;
  /** The closed list of reasons; none if it needs none. */
  reasons?: string[];
  /** A free text is asked for; `required` if the action cannot go without it. */
  words?: "optional" | "required";
  /** What the free text is; by itself it is an explanation that is published. */
  label?: string;
  /** Without one there is nothing to do: the dialog only shows. */
  button?: string;
  /** The image, or the two, that a person looks at beside the form. */
  proof?: ComponentChildren;
  body?: ComponentChildren;
  /** Not yet: the body lacks something. */
  missing?: () => string;
  run?: (reason: string, words: string) => Promise<ComponentChildren>;
}

interface Props {
  action: Action;
  onClose: (done: ComponentChildren) => void;
}

export function ActionDialog({ action, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState(action.reasons?.[0] ?? "");
  const [words, setWords] = useState("");
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const needed = action.words === "required" || reason === "otra";

  async function run(event: Event): Promise<void> {
    event.preventDefault();
    if (busy || !action.run) return;
    const missing = action.missing?.() ?? "";
    if (missing || (needed && !words.trim())) return setSaid(missing || t("Escriba la explicación."));
    setBusy(true);
    try {
      onClose(await action.run(reason, words.trim()));
    } catch (error) {
      setSaid(sentenceOf(error));
      setBusy(false);
    }
  }
  return (
    <dialog ref={dialog} class={action.proof ? "with-proof" : ""} onClose={() => onClose("")} aria-labelledby="titulo-accion">
      <form onSubmit={run}>
        <h2 id="titulo-accion">{action.title}</h2>
        <p class="sentence">{action.sentence}</p>
        {action.proof && <div class="proofs">{action.proof}</div>}
        <div>
          {action.body}
          {action.reasons && action.reasons.length > 0 && (
            <>
              <label for="motivo">{t("Motivo (se publica)")}</label>
              <select id="motivo" value={reason} onChange={({ currentTarget }) => setReason(currentTarget.value)}>
                {action.reasons.map((each) => (
                  <option value={each} key={each}>
                    {inWords(each)}
                  </option>
                ))}
              </select>
            </>
          )}
          {action.words && (
            <>
              <label for="texto">{action.label ?? (needed ? t("Explicación (se publica, sin nombres)") : t("Explicación, si hace falta (se publica, sin nombres)"))}</label>
              <textarea id="texto" maxLength={500} rows={3} value={words} onInput={({ currentTarget }) => setWords(currentTarget.value)} />
            </>
          )}
          <p class="said" role="alert">
            {said}
          </p>
          <div class="buttons">
            {action.run && (
              <button class="primary" type="submit" aria-disabled={busy}>
                {busy ? t("Guardando…") : action.button}
              </button>
            )}
            <button type="button" onClick={() => dialog.current?.close()}>
              {action.run ? t("Cancelar") : t("Cerrar")}
            </button>
          </div>
        </div>
      </form>
    </dialog>
  );
}
