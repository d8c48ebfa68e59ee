// Which acta an image is: municipio, sección, casilla and election from lists, without a code; or that nobody can tell.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ActaOfSeccion, MunicipioRow, Operations, TaskAnswer } from "../shared/openapi";
import type { Asked, Name } from "../shared/api";
import { t } from "../shared/texts";
import { Combo, type Option } from "./combo";
import { moveImage } from "./keys";
import { type Mover, Picture } from "./picture";

export type Ask = <N extends Name>(name: N, body: Operations[N]["body"], asked?: Asked) => Promise<Operations[N]["answer"]>;

interface Props {
  task: TaskAnswer;
  busy: boolean;
  ask: Ask;
  onSend: (identity: string) => void;
  children?: ComponentChildren;
}

const LAST = "prep.municipio";
/** A capturista goes on in the municipio of the image before: a package of a CATD is of few. */
let municipiosKnown: Option<MunicipioRow>[] | null = null;

export function IdentifyTask({ task, busy, ask, onSend, children }: Props) {
  const [municipios, setMunicipios] = useState(municipiosKnown);
  const [municipio, setMunicipio] = useState<Option<MunicipioRow> | null>(null);
  const [secciones, setSecciones] = useState<Option<number>[] | null>(null);
  const [seccion, setSeccion] = useState<Option<number> | null>(null);
  const [actas, setActas] = useState<ActaOfSeccion[] | null>(null);
  const [casilla, setCasilla] = useState<Option<string> | null>(null);
  const [acta, setActa] = useState<Option<ActaOfSeccion> | null>(null);
  const [nobody, setNobody] = useState(false);
  const [moving, setMoving] = useState(false);
  const mover = useRef<Mover>(null);
  const boxes = [useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null)];
  const sendButton = useRef<HTMLButtonElement>(null);
  const focus = (box: number) => requestAnimationFrame(() => (boxes[box]?.current ?? sendButton.current)?.focus());

  useEffect(() => {
    focus(0);
    if (municipios === null) {
      void ask("GET /v1/catalog/municipios", undefined).then(({ filas }) => {
        const several = new Set(filas.map(({ entidad }) => entidad)).size > 1;
        municipiosKnown = filas.map((row) => ({
          value: row,
          text: `${row.municipio} ${row.nombre ?? ""}${several ? `, ${row.nombre_entidad ?? row.entidad}` : ""}`,
        }));
        setMunicipios(municipiosKnown);
      });
    }
  }, []);
  useEffect(() => {
    const last = municipios?.find(({ text }) => text === localStorage.getItem(LAST));
    if (last && municipio === null) void chooseMunicipio(last, false);
  }, [municipios]);

  async function chooseMunicipio(option: Option<MunicipioRow>, go = true): Promise<void> {
    setMunicipio(option);
    setSeccion(null);
    setCasilla(null);
    setActa(null);
    setActas(null);
    localStorage.setItem(LAST, option.text);
    if (go) focus(1);
    const { entidad, municipio } = option.value;
    const { filas } = await ask("GET /v1/catalog/secciones", undefined, { query: { entidad, municipio } });
    setSecciones(filas.map((each) => ({ value: each, text: String(each).padStart(4, "0") })));
  }
  async function chooseSeccion(option: Option<number>): Promise<void> {
    setSeccion(option);
    setCasilla(null);
    setActa(null);
    focus(2);
    const { entidad, municipio: number } = municipio!.value;
    const query = { entidad, municipio: number, seccion: option.value };
    setActas((await ask("GET /v1/catalog/actas", undefined, { query })).filas);
  }
  const casillas = actas && [...new Set(actas.map(({ casilla }) => casilla))].map((each) => ({ value: each, text: inWords(each) }));
  const elections =
    casilla && actas
      ? actas.filter((each) => each.casilla === casilla.value).map((each) => ({ value: each, text: `${each.titulo} (${each.eleccion})` }))
      : null;

  function send(): void {
    if (nobody) onSend("");
    else if (acta) onSend(acta.value.identidad);
  }
  function onKey(event: KeyboardEvent): void {
    if (busy) return;
    if (moving) {
      const still = moveImage(event, mover.current, () => {});
      if (still !== null) event.preventDefault();
      if (still === false) setMoving(false);
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === ".") setMoving(true);
    else if (event.key === "*") {
      setNobody(!nobody);
      requestAnimationFrame(() => sendButton.current?.focus());
    } else if (event.key === "-") {
      const at = boxes.findIndex(({ current }) => current === document.activeElement);
      focus(Math.max(0, (at < 0 ? boxes.length : at) - 1));
    } else return;
    event.preventDefault();
  }

  return (
    <div class="work" onKeyDownCapture={(event) => moving && (onKey(event), event.stopPropagation())} onKeyDown={onKey}>
      <Picture task={task} field={null} index={0} share={0.5} mover={mover} />
      <section class="fields" aria-label={t("¿De qué acta es esta imagen?")}>
        {children}
        <p>{t("¿De qué acta es esta imagen?")}</p>
        <Combo id="municipio" label={t("Municipio o demarcación")} options={municipios} chosen={municipio} box={boxes[0]!} onChoose={chooseMunicipio} />
        <Combo id="seccion" label={t("Sección")} options={secciones} chosen={seccion} box={boxes[1]!} onChoose={chooseSeccion} />
        <Combo id="casilla" label={t("Casilla")} options={casillas} chosen={casilla} box={boxes[2]!} onChoose={(each) => (setCasilla(each), setActa(null), focus(3))} />
        <Combo id="eleccion" label={t("Elección")} options={elections} chosen={acta} box={boxes[3]!} onChoose={(each) => (setActa(each), setNobody(false), focus(9))} />
        <div class="told" role="status">
          {nobody && <p class="notice">{t("Enter dice que esta imagen no se puede identificar. * lo quita.")}</p>}
          {!nobody && acta && (
            <p class="asked">
              {t("Sección {s}, {c}, {e}: ¿es ésta? Enter lo guarda.", { s: seccion?.text ?? "", c: casilla?.text ?? "", e: acta.value.titulo })}
            </p>
          )}
          {moving && <p class="moving">{t("Imagen: 8 2 4 6 mueven · + − acercan · 5 gira · 0 tira o forma · punto termina")}</p>}
        </div>
        <button class="primary send" type="button" ref={sendButton} aria-disabled={busy || !(nobody || acta)} onClick={send}>
          {busy ? t("Guardando…") : t("Enviar (Enter)")}
        </button>
        <button type="button" aria-pressed={nobody} onClick={() => setNobody(!nobody)}>
          {t("No se puede identificar (*)")}
        </button>
      </section>
      <p id="ayuda" class="help">
        {t("Escriba número o nombre · Enter toma · − regresa · * no se puede identificar · punto mueve la imagen")}
      </p>
    </div>
  );
}

/** «B01» as people say it. */
function inWords(casilla: string): string {
  const [, kind, number] = casilla.match(/^([A-Z])0*(\d+)/) ?? [];
  const names: Record<string, string> = {
    B: t("básica"),
    C: t("contigua"),
    E: t("extraordinaria"),
    S: t("especial"),
    M: t("voto en el extranjero"),
    P: t("prisión preventiva"),
    V: t("voto en prisión"),
    A: t("voto anticipado"),
    U: t("urna electrónica"),
  };
  const name = names[kind ?? ""];
  return name ? `${casilla} ${name} ${kind === "B" ? "" : number}`.trim() : casilla;
}
