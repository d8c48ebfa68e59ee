// The lists of the night, each row with what may be done about it.
import { casillaInWords } from "../phone/identity";
import { serverNow } from "../shared/api";
import type { Ask } from "../shared/find_acta";
import type { FueraRow, MissingRow, ParkedRow, UnidentifiedRow } from "../shared/openapi";
import { age, clockTime, t } from "../shared/texts";
import type { Action } from "./action";
import { Decisions, Pending } from "./decisions";
import type { DeskProps } from "./desk";
import { Devices } from "./devices";
import { Duplicates, Excede, Mismatches } from "./findings";
import { askImage, assign, identifyAgain, LOOKS, propose, Shown, staysOut } from "./images";
import { List } from "./list";
import { Changes, People } from "./people";
import { effectOf, inWords, REASONS } from "./words";

const CONTROL = ["supervisor", "administrador", "auditor"];
const WORKS = [...CONTROL, "cotejador", "operador_catd", "digitalizador"];
const OBSERVES = [...WORKS, "observador"];
const LOOKS_OR_CONTROLS = [...CONTROL, "digitalizador", "cotejador"];

export type ListPage =
  | "cotejo" | "waiting" | "decisions" | "missing" | "unidentified" | "fuera" | "duplicates" | "mismatches" | "excede" | "corrections" | "parked"
  | "devices" | "people" | "changes" | "sites";
/** The lists, and who may read them (docs/roles.md; the server decides). */
export const LISTS: { page: ListPage; roles: string[] }[] = [
  { page: "cotejo", roles: [...CONTROL, "cotejador"] },
  { page: "waiting", roles: WORKS },
  { page: "decisions", roles: WORKS },
  { page: "missing", roles: OBSERVES },
  { page: "unidentified", roles: OBSERVES },
  { page: "fuera", roles: OBSERVES },
  { page: "duplicates", roles: LOOKS_OR_CONTROLS },
  { page: "mismatches", roles: LOOKS_OR_CONTROLS },
  { page: "excede", roles: ["supervisor", "cotejador", "administrador", "auditor", "observador"] },
  { page: "corrections", roles: OBSERVES },
  { page: "parked", roles: CONTROL },
  { page: "devices", roles: CONTROL },
  { page: "people", roles: CONTROL },
  { page: "changes", roles: CONTROL },
  { page: "sites", roles: CONTROL },
];
const SHIFT = ["operador_catd", "supervisor"];
const MACHINES = ["administrador", "supervisor"];

const since = (moment: string) => <time dateTime={moment}>{age(serverNow() - Date.parse(moment))}</time>;

export function Lists({ page, decision, ...props }: DeskProps & { page: ListPage; decision?: number | undefined }) {
  const { ask, role, version, onAct, onShow } = props;
  const common = { ask, version };
  switch (page) {
    case "waiting":
      return (
        <List
          {...common}
          name="GET /v1/lists/waiting"
          empty={t("Ninguna tarea espera a una persona. Lo que falta por resolver está en el tablero.")}
          columns={[
            { title: t("Qué"), cell: ({ que }) => inWords(que) },
            { title: t("De qué"), cell: ({ asunto }) => <code>{asunto}</code> },
            { title: t("Espera hace"), cell: ({ desde }) => since(desde) },
          ]}
        />
      );
    case "cotejo":
      return (
        <List
          {...common}
          name="GET /v1/lists/cotejo"
          empty={t("Ningún acta publicada espera su cotejo.")}
          columns={[
            { title: t("Casilla"), cell: ({ seccion, tipo, numero, ext_contigua }) => casillaInWords(seccion, tipo, numero, ext_contigua) },
            { title: t("Elección"), cell: ({ titulo }) => titulo },
            { title: t("Clave del acta"), cell: ({ clave }) => <code>{clave}</code> },
            { title: t("Sitio"), cell: ({ sitio }) => sitio ?? "—" },
            { title: t("Salió en el corte"), cell: ({ corte }) => corte, number: true },
            { title: t("Espera hace"), cell: ({ desde, cotejada }) => <>{since(desde)}{cotejada === 2 && <span class="soft"> · {t("tras un cambio")}</span>}</> },
            {
              title: t("Acción"),
              cell: ({ eleccion, clave }) => (
                <button type="button" onClick={() => onShow("acta", { acta: { eleccion, clave } })}>
                  {role === "cotejador" ? t("Cotejar…") : t("Ver el acta")}
                </button>
              ),
            },
          ]}
        />
      );
    case "decisions":
      return <Decisions {...props} only={decision} />;
    case "missing":
      return (
        <List
          {...common}
          name="GET /v1/lists/missing"
          empty={t("De todas las actas llegó imagen, o se dijo por qué no.")}
          columns={[
            { title: t("Elección"), cell: ({ eleccion }) => eleccion },
            { title: t("Clave del acta"), cell: ({ clave }) => <code>{clave}</code> },
            { title: t("Municipio"), cell: ({ municipio }) => municipio, number: true },
            { title: t("Sección"), cell: ({ seccion }) => String(seccion).padStart(4, "0") },
            {
              title: t("Acción"),
              cell: (row) =>
                row.propuesta ? (
                  <Pending number={row.propuesta} role={role} onShow={onShow} />
                ) : SHIFT.includes(role) ? (
                  <button type="button" onClick={() => onAct(withoutActa(row, ask))}>
                    {t("Sin acta…")}
                  </button>
                ) : null,
            },
          ]}
        />
      );
    case "unidentified":
      return (
        <List
          {...common}
          name="GET /v1/lists/unidentified"
          empty={t("Toda imagen tiene su acta.")}
          columns={[
            { title: t("Imagen"), cell: ({ sha256 }) => <Shown sha256={sha256} role={role} /> },
            { title: t("Estado"), cell: whyUnidentified },
            { title: t("Dispositivo"), cell: ({ dispositivo, sitio }) => (sitio ? `${dispositivo} · ${sitio}` : dispositivo) },
            { title: t("Espera hace"), cell: ({ desde }) => since(desde) },
            { title: t("Dichos"), cell: ({ dichos }) => dichos, number: true },
            { title: t("Acción"), cell: (row) => <ImageButtons {...props} row={row} /> },
          ]}
        />
      );
    case "fuera":
      return (
        <List
          {...common}
          name="GET /v1/lists/fuera"
          empty={t("Ninguna imagen está fuera de catálogo.")}
          settled={({ queda }) => queda !== null}
          columns={[
            { title: t("Imagen"), cell: ({ sha256 }) => <Shown sha256={sha256} role={role} /> },
            { title: t("Su etiqueta dice"), cell: ({ identidad }) => <code>{identidad || t("nada")}</code> },
            { title: t("Por qué"), cell: ({ motivo, texto }) => (motivo ? `${inWords(motivo)}${texto ? `: ${texto}` : ""}` : "—") },
            { title: t("Desde hace"), cell: ({ desde }) => since(desde) },
            {
              title: t("Revisión"),
              cell: ({ queda }) =>
                queda === null ? (
                  t("por revisar")
                ) : WORKS.includes(role) ? (
                  <button type="button" class="plain" onClick={() => onShow("decisions", { decision: queda })}>
                    {t("queda fuera (decisión {n})", { n: queda })}
                  </button>
                ) : (
                  t("queda fuera (decisión {n})", { n: queda })
                ),
            },
            { title: t("Acción"), cell: (row) => <OutsideButtons {...props} row={row} /> },
          ]}
        />
      );
    case "duplicates":
      return <Duplicates {...props} />;
    case "mismatches":
      return <Mismatches {...props} />;
    case "excede":
      return <Excede {...props} />;
    case "corrections":
      return (
        <List
          {...common}
          name="GET /v1/lists/corrections"
          empty={t("Nada publicado ha cambiado.")}
          columns={[
            { title: t("Elección"), cell: ({ eleccion }) => eleccion },
            {
              title: t("Clave del acta"),
              cell: ({ eleccion, clave }) => (
                <button type="button" class="plain" onClick={() => onShow("acta", { acta: { eleccion, clave } })}>
                  {clave}
                </button>
              ),
            },
            { title: t("Por qué"), cell: ({ motivo }) => inWords(motivo) },
            { title: t("Decisión"), cell: ({ decision: of }) => of ?? "—", number: true },
            { title: t("Sale en el corte"), cell: ({ corte }) => corte ?? t("en el siguiente"), number: true },
            {
              title: t("Acción"),
              cell: ({ decision: of }) =>
                of && WORKS.includes(role) ? (
                  <button type="button" onClick={() => onShow("decisions", { decision: of })}>
                    {t("Ver la decisión")}
                  </button>
                ) : null,
            },
          ]}
        />
      );
    case "parked":
      return (
        <List
          {...common}
          name="GET /v1/lists/parked"
          empty={t("Ningún mensaje está apartado.")}
          columns={[
            { title: t("Núm."), cell: ({ mensaje }) => mensaje, number: true },
            { title: t("Qué"), cell: ({ que }) => <code>{que}</code> },
            { title: t("Por qué"), cell: ({ error }) => error },
            { title: t("Intentos"), cell: ({ intentos }) => intentos, number: true },
            { title: t("Espera hace"), cell: ({ desde }) => since(desde) },
            {
              title: t("Acción"),
              cell: (row) =>
                row.propuesta ? (
                  <Pending number={row.propuesta} role={role} onShow={onShow} />
                ) : MACHINES.includes(role) ? (
                  <div class="buttons">
                    <button type="button" onClick={() => onAct(sendAgain(row, ask))}>
                      {t("Mandar otra vez…")}
                    </button>
                    <button type="button" onClick={() => onAct(dismiss(row, ask))}>
                      {t("Descartar…")}
                    </button>
                  </div>
                ) : null,
            },
          ]}
        />
      );
    case "devices":
      return <Devices {...props} />;
    case "people":
      return <People {...props} />;
    case "changes":
      return <Changes {...common} />;
    case "sites":
      return (
        <List
          {...common}
          name="GET /v1/lists/sites"
          empty=""
          columns={[
            { title: t("Sitio"), cell: ({ sitio }) => <b>{sitio}</b> },
            { title: t("Nombre"), cell: ({ nombre }) => nombre },
            { title: t("Personas"), cell: ({ personas }) => personas, number: true },
            { title: t("Dispositivos"), cell: ({ dispositivos }) => dispositivos, number: true },
          ]}
        />
      );
  }
}

function whyUnidentified({ estado, decision, pedida }: UnidentifiedRow) {
  return (
    <>
      <b>{inWords(estado)}</b>:{" "}
      {estado === "ilegible"
        ? t("dos personas dijeron que no se puede identificar (decisión {n})", { n: decision ?? "—" })
        : estado === "por_identificar"
          ? t("espera a dos personas que la identifiquen en la terminal")
          : t("llegó y todavía no se lee")}
      {pedida && <span class="soft"> · {t("otra imagen pedida a las {h}", { h: clockTime(pedida) })}</span>}
    </>
  );
}

function ImageButtons({ row, ask, role, onAct, onShow }: DeskProps & { row: UnidentifiedRow }) {
  if (row.propuesta) return <Pending number={row.propuesta} role={role} onShow={onShow} />;
  if (!LOOKS.includes(role)) return null;
  return (
    <div class="buttons">
      {row.estado === "ilegible" && (
        <>
          <button type="button" onClick={() => onAct(assign(row.sha256, ask, role, { free: true }))}>
            {t("Asignar a…")}
          </button>
          {row.decision !== null && (
            <button type="button" onClick={() => onAct(identifyAgain(row.decision!, row.sha256, ask, role))}>
              {t("Identificar otra vez…")}
            </button>
          )}
        </>
      )}
      <button type="button" onClick={() => onAct(askImage(row.sha256, ask, role))}>
        {t("Pedir otra imagen…")}
      </button>
    </div>
  );
}

function OutsideButtons({ row, ask, role, onAct, onShow }: DeskProps & { row: FueraRow }) {
  if (row.propuesta) return <Pending number={row.propuesta} role={role} onShow={onShow} />;
  if (!LOOKS.includes(role)) return null;
  return (
    <div class="buttons">
      <button type="button" onClick={() => onAct(assign(row.sha256, ask, role, { label: row.identidad, free: true }))}>
        {t("Asignar a…")}
      </button>
      {row.queda === null && (
        <button type="button" onClick={() => onAct(staysOut(row.sha256, row.identidad, ask, role))}>
          {t("Queda fuera…")}
        </button>
      )}
    </div>
  );
}

function withoutActa({ eleccion, clave }: MissingRow, ask: Ask): Action {
  return {
    title: t("Proponer: sin acta"),
    sentence: `${effectOf("sin_acta", `${eleccion} ${clave}`)} ${t("Esto pasa cuando otra persona lo confirma.")}`,
    reasons: REASONS.sin_acta,
    words: "optional",
    button: t("Proponer"),
    run: (motivo, texto) => propose(ask, { tipo: "sin_acta", eleccion, clave, motivo, texto }),
  };
}

function sendAgain({ mensaje, que, error }: ParkedRow, ask: Ask): Action {
  return {
    title: t("Mandar otra vez el mensaje {n}", { n: mensaje }),
    sentence: t("El mensaje se intenta otra vez, con todos sus intentos ({s}). Si vuelve a fallar, se aparta de nuevo. Queda quién lo mandó.", { s: que }),
    button: t("Mandarlo"),
    body: <p class="soft">{error}</p>,
    run: async () => {
      await ask("POST /v1/parked/{mensaje}/retry", undefined, { path: { mensaje } });
      return t("Mensaje {n} mandado otra vez.", { n: mensaje });
    },
  };
}

function dismiss({ mensaje, que, error }: ParkedRow, ask: Ask): Action {
  return {
    title: t("Proponer: descartar el mensaje {n}", { n: mensaje }),
    sentence: `${effectOf("mensaje_descartado", que)} ${t("Esto pasa cuando otra persona lo confirma.")}`,
    reasons: REASONS.mensaje_descartado,
    words: "optional",
    button: t("Proponer"),
    body: <p class="soft">{error}</p>,
    run: (motivo, texto) => propose(ask, { tipo: "mensaje_descartado", mensaje, motivo, texto }),
  };
}
