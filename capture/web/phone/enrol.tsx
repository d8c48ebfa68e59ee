// The phone enrols itself: with the code that a supervisor shows, and with a key that is made here.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, Refusal } from "../shared/api";
import { sentenceOf } from "../shared/session";
import { t } from "../shared/texts";
import { newKey } from "./signed";
import { type Enrolment, keepEnrolment } from "./store";

const NAME = "#inscribir=";

interface Props {
  title: string;
  sentence: string;
  button: string;
  onDone: (device: Enrolment) => void;
}

/** The form alone; the screen puts it where it belongs. */
export function Enrol({ title, sentence, button, onDone }: Props) {
  const code = useRef<HTMLInputElement>(null);
  const made = useRef<Awaited<ReturnType<typeof newKey>>>(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (location.hash.startsWith(NAME)) {
      code.current!.value = decodeURIComponent(location.hash.slice(NAME.length));
      history.replaceState(null, "", location.pathname); // a code is no bookmark
    }
    code.current!.focus();
  }, []);

  async function enrol(event: Event): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setSaid("");
    try {
      // One key for all tries: an answer that was lost is asked for again with the same one.
      made.current ??= await newKey();
    } catch {
      setBusy(false);
      return setSaid(t("Este navegador no puede firmar las fotos: actualícelo, o use otro."));
    }
    try {
      const answer = await call("POST /v1/devices", { codigo: code.current!.value, llave: made.current.told });
      const device = { ...answer, key: made.current.key };
      await keepEnrolment(device);
      onDone(device);
    } catch (error) {
      setSaid(error instanceof Refusal ? error.message : error instanceof DOMException ? t("Este teléfono está lleno: libere espacio e intente de nuevo.") : sentenceOf(error));
      setBusy(false);
    }
  }

  return (
      <form class="card enrolment" onSubmit={enrol}>
        <h1>{title}</h1>
        <p>{sentence}</p>
        <label for="codigo">{t("Código")}</label>
        <input id="codigo" ref={code} autocomplete="off" autocapitalize="characters" spellcheck={false} maxLength={20} required placeholder="K7QM-2XFD-9PRT" />
        <p class="said" role="alert">{said}</p>
        <button class="primary" type="submit" aria-disabled={busy}>{busy ? t("Inscribiendo…") : button}</button>
      </form>
  );
}
