// Which acta: municipio, sección, casilla and election from lists, without a code. For the terminal and the desk.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Asked, Name } from "./api";
import { Combo, type Option } from "./combo";
import type { ActaOfSeccion, MunicipioRow, Operations } from "./openapi";
import { t } from "./texts";

export type Ask = <N extends Name>(name: N, body: Operations[N]["body"], asked?: Asked) => Promise<Operations[N]["answer"]>;

export interface FoundActa extends ActaOfSeccion {
  seccion: string;
}

interface Props {
  ask: Ask;
  onFind: (acta: FoundActa | null) => void;
  /** Called when the last box was answered: the next key belongs to the form around. */
  onDone: () => void;
}

const LAST = "prep.municipio";
/** Read once: the catalogue never changes during a night. */
let known: Option<MunicipioRow>[] | null = null;

/** The four boxes. A person goes on in the municipio of the image before: a package of a CATD is of few. */
export function FindActa({ ask, onFind, onDone }: Props) {
  const [municipios, setMunicipios] = useState(known);
  const [municipio, setMunicipio] = useState<Option<MunicipioRow> | null>(null);
  const [secciones, setSecciones] = useState<Option<number>[] | null>(null);
  const [seccion, setSeccion] = useState<Option<number> | null>(null);
  const [actas, setActas] = useState<ActaOfSeccion[] | null>(null);
  const [casilla, setCasilla] = useState<Option<string> | null>(null);
  const [acta, setActa] = useState<Option<ActaOfSeccion> | null>(null);
  const boxes = [0, 1, 2, 3].map(() => useRef<HTMLInputElement>(null));
  // A page may hold these boxes twice: under a dialog and in it.
  const id = useId();
  const focus = (box: number) => requestAnimationFrame(() => boxes[box]?.current?.focus());

  useEffect(() => {
    focus(0);
    if (municipios === null) {
      void ask("GET /v1/catalog/municipios", undefined).then(({ filas }) => {
        const several = new Set(filas.map(({ entidad }) => entidad)).size > 1;
        known = filas.map((row) => ({
          value: row,
          text: `${row.municipio} ${row.nombre ?? ""}${several ? `, ${row.nombre_entidad ?? row.entidad}` : ""}`,
        }));
        setMunicipios(known);
      });
    }
  }, []);
  useEffect(() => {
    const last = municipios?.find(({ text }) => text === localStorage.getItem(LAST));
    if (last && municipio === null) void chooseMunicipio(last, false);
  }, [municipios]);

  function forget(): void {
    setCasilla(null);
    setActa(null);
    onFind(null);
  }
  async function chooseMunicipio(option: Option<MunicipioRow>, go = true): Promise<void> {
    setMunicipio(option);
    setSeccion(null);
    setActas(null);
    forget();
    localStorage.setItem(LAST, option.text);
    if (go) focus(1);
    const { entidad, municipio } = option.value;
    const { filas } = await ask("GET /v1/catalog/secciones", undefined, { query: { entidad, municipio } });
    setSecciones(filas.map((each) => ({ value: each, text: String(each).padStart(4, "0") })));
  }
  async function chooseSeccion(option: Option<number>): Promise<void> {
    setSeccion(option);
    forget();
    focus(2);
    const { entidad, municipio: number } = municipio!.value;
    const query = { entidad, municipio: number, seccion: option.value };
    setActas((await ask("GET /v1/catalog/actas", undefined, { query })).filas);
  }
  function chooseCasilla(option: Option<string>): void {
    forget();
    setCasilla(option);
    focus(3);
  }
  function chooseActa(option: Option<ActaOfSeccion>): void {
    setActa(option);
    onFind({ ...option.value, casilla: casilla!.text, seccion: seccion!.text });
    onDone();
  }

  const casillas = actas && [...new Set(actas.map((each) => each.casilla))].map((each) => ({ value: each, text: inWords(each) }));
  const elections =
    casilla && actas
      ? actas.filter((each) => each.casilla === casilla.value).map((each) => ({ value: each, text: `${each.titulo} (${each.eleccion})` }))
      : null;
  function back(event: KeyboardEvent): void {
    if (event.key !== "-" || event.ctrlKey || event.altKey || event.metaKey) return;
    const at = boxes.findIndex(({ current }) => current === document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    focus(Math.max(0, at - 1));
  }
  return (
    <div class="find" onKeyDown={back}>
      <Combo id={`${id}-municipio`} label={t("Municipio o demarcación")} options={municipios} chosen={municipio} box={boxes[0]!} onChoose={chooseMunicipio} />
      <Combo id={`${id}-seccion`} label={t("Sección")} options={secciones} chosen={seccion} box={boxes[1]!} onChoose={chooseSeccion} />
      <Combo id={`${id}-casilla`} label={t("Casilla")} options={casillas} chosen={casilla} box={boxes[2]!} onChoose={chooseCasilla} />
      <Combo id={`${id}-eleccion`} label={t("Elección")} options={elections} chosen={acta} box={boxes[3]!} onChoose={chooseActa} />
    </div>
  );
}

/** «B01 básica», «C02 contigua 2»: a casilla as people say it. */
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
