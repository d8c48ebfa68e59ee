// The lists of the night, each row with what may be done about it.
import { useState } from "preact/hooks";
import { fetchImage, serverNow } from "../shared/api";
import { type Ask, FindActa, type FoundActa } from "../shared/find_acta";
import type { DecisionBody, DecisionRow, DeviceRow, FueraRow, MissingRow } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { age, clockTime, t } from "../shared/texts";
import type { Action } from "./action";
import type { DeskProps } from "./desk";
import { List } from "./list";
import { effectOf, inWords, REASONS, subjectOf, UNDO_REASONS, undoneOf } from "./words";

const CONTROL = ["supervisor", "administrador", "auditor"];
const WORKS = [...CONTROL, "cotejador", "operador_catd", "digitalizador"];
const OBSERVES = [...WORKS, "observador"];

export type ListPage = "waiting" | "decisions" | "missing" | "unidentified" | "fuera" | "corrections" | "devices" | "people" | "sites";
/** The lists, and who may read them (docs/roles.md; the server decides). */
export const LISTS: { page: ListPage; roles: string[] }[] = [
  { page: "waiting", roles: WORKS },
  { page: "decisions", roles: WORKS },
  { page: "missing", roles: OBSERVES },
  { page: "unidentified", roles: OBSERVES },
  { page: "fuera", roles: OBSERVES },
  { page: "corrections", roles: OBSERVES },
  { page: "devices", roles: CONTROL },
  { page: "people", roles: CONTROL },
  { page: "sites", roles: CONTROL },
];
const SHIFT = ["operador_catd", "supervisor"];
const LOOKS = ["digitalizador", "cotejador", "supervisor"];
const MACHINES = ["administrador", "supervisor"];

const since = (moment: string) => <time dateTime={moment}>{age(serverNow() - Date.parse(moment))}</time>;

export function Lists({ page, ask, role, user, version, onAct }: DeskProps & { page: ListPage }) {
  const common = { ask, version };
  switch (page) {
    case "waiting":
      return (
        <List
          {...common}
          name="GET /v1/lists/waiting"
          empty={t("Nada espera.")}
          columns={[
            { title: t("Qué"), cell: ({ que }) => inWords(que) },
            { title: t("De qué"), cell: ({ asunto }) => <code>{asunto}</code> },
            { title: t("Espera hace"), cell: ({ desde }) => since(desde) },
          ]}
        />
      );
    case "decisions":
      return (
        <List
          {...common}
          name="GET /v1/lists/decisions"
          empty={t("Nadie ha propuesto nada.")}
          columns={[
            { title: t("Núm."), cell: ({ decision }) => decision, number: true },
            { title: t("Qué"), cell: ({ tipo }) => inWords(tipo) },
            { title: t("De qué"), cell: (row) => <code>{subjectOf(row)}</code> },
            { title: t("Por qué"), cell: ({ motivo, texto }) => `${inWords(motivo)}${texto ? `: ${texto}` : ""}` },
            { title: t("Estado"), cell: (row) => <b>{row.estado}</b> },
            { title: t("Propuso"), cell: ({ propuso, propuesta }) => `${propuso}, ${clockTime(propuesta)}` },
            { title: t("Acción"), cell: (row) => <DecisionButtons row={row} user={user} ask={ask} onAct={onAct} /> },
          ]}
        />
      );
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
                SHIFT.includes(role) ? (
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
            { title: t("Estado"), cell: ({ estado }) => inWords(estado) },
            { title: t("Dispositivo"), cell: ({ dispositivo }) => dispositivo },
            { title: t("Espera hace"), cell: ({ desde }) => since(desde) },
            { title: t("Dichos"), cell: ({ dichos }) => dichos, number: true },
          ]}
        />
      );
    case "fuera":
      return (
        <List
          {...common}
          name="GET /v1/lists/fuera"
          empty={t("Ninguna imagen está fuera de catálogo.")}
          columns={[
            { title: t("Imagen"), cell: ({ sha256 }) => <Shown sha256={sha256} role={role} /> },
            { title: t("Su etiqueta dice"), cell: ({ identidad }) => <code>{identidad || t("nada")}</code> },
            { title: t("Desde hace"), cell: ({ desde }) => since(desde) },
            {
              title: t("Acción"),
              cell: (row) =>
                LOOKS.includes(role) ? (
                  <button type="button" onClick={() => onAct(assign(row.sha256, ask, row))}>
                    {t("Asignar a…")}
                  </button>
                ) : null,
            },
          ]}
        />
      );
    case "corrections":
      return (
        <List
          {...common}
          name="GET /v1/lists/corrections"
          empty={t("Nada publicado ha cambiado.")}
          columns={[
            { title: t("Elección"), cell: ({ eleccion }) => eleccion },
            { title: t("Clave del acta"), cell: ({ clave }) => <code>{clave}</code> },
            { title: t("Por qué"), cell: ({ motivo }) => inWords(motivo) },
            { title: t("Decisión"), cell: ({ decision }) => decision ?? "—", number: true },
            { title: t("Sale en el corte"), cell: ({ corte }) => corte ?? t("en el siguiente"), number: true },
          ]}
        />
      );
    case "devices":
      return (
        <List
          {...common}
          name="GET /v1/lists/devices"
          empty={t("No hay dispositivos inscritos.")}
          columns={[
            { title: t("Dispositivo"), cell: ({ dispositivo }) => <b>{dispositivo}</b> },
            { title: t("Sitio"), cell: ({ sitio }) => sitio },
            { title: t("Envíos"), cell: ({ envios }) => envios, number: true },
            { title: t("Último número"), cell: ({ ultimo }) => ultimo ?? "—", number: true },
            { title: t("Último envío hace"), cell: ({ ultimo_envio }) => (ultimo_envio ? since(ultimo_envio) : t("ninguno")) },
            { title: t("Estado"), cell: ({ revocado }) => (revocado ? t("revocado") : t("en uso")) },
            {
              title: t("Acción"),
              cell: (row) =>
                MACHINES.includes(role) ? (
                  <button type="button" onClick={() => onAct(lostNumber(row, ask))}>
                    {t("Número perdido…")}
                  </button>
                ) : null,
            },
          ]}
        />
      );
    case "people":
      return (
        <List
          {...common}
          name="GET /v1/lists/people"
          empty=""
          columns={[
            { title: t("Persona"), cell: ({ usuario }) => <b>{usuario}</b> },
            { title: t("Rol"), cell: ({ rol }) => inWords(rol) },
            { title: t("Sitio"), cell: ({ sitio }) => sitio },
            { title: t("Estado"), cell: ({ activa }) => (activa ? t("activa") : t("dada de baja")) },
          ]}
        />
      );
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

/** The image of a row, on demand: a list of a thousand images must not fetch them all. */
export function Shown({ sha256, role }: { sha256: string; role: string }) {
  const [shown, setShown] = useState("");
  const [said, setSaid] = useState("");
  if (!["supervisor", "cotejador", "auditor"].includes(role)) return <code>{sha256.slice(0, 12)}</code>;
  async function show(): Promise<void> {
    if (shown) {
      URL.revokeObjectURL(shown);
      return setShown("");
    }
    try {
      setShown(URL.createObjectURL(await fetchImage(`/v1/images/${sha256}`)));
    } catch (error) {
      setSaid(sentenceOf(error));
    }
  }
  return (
    <>
      <button type="button" class="plain" aria-expanded={shown !== ""} onClick={show}>
        {shown ? t("Ocultar") : t("Ver {i}", { i: sha256.slice(0, 12) })}
      </button>
      {said && <span class="bad">{said}</span>}
      {shown && <img class="proof" src={shown} alt={t("Imagen {i}", { i: sha256.slice(0, 12) })} />}
    </>
  );
}

async function propose(ask: Ask, body: DecisionBody): Promise<string> {
  const { decision } = await ask("POST /v1/decisions", body);
  return t("Propuesta {n}: falta que otra persona la confirme.", { n: decision });
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

/** An image goes to another acta: of one that is fuera de catálogo, or of one that was identified wrongly. */
export function assign(imagen: string, ask: Ask, row: Pick<FueraRow, "identidad">): Action {
  let to: FoundActa | null = null;
  return {
    title: t("Proponer: la imagen es de otra acta"),
    sentence: `${effectOf("imagen_de_otra_acta", imagen.slice(0, 12))} ${t("Esto pasa cuando otra persona lo confirma.")}`,
    reasons: REASONS.imagen_de_otra_acta,
    words: "optional",
    button: t("Proponer"),
    body: (
      <>
        {row.identidad && <p class="soft">{t("Su etiqueta dice {e}.", { e: row.identidad })}</p>}
        <FindActa ask={ask} onFind={(found) => (to = found)} onDone={() => document.getElementById("motivo")?.focus()} />
      </>
    ),
    missing: () => (to ? "" : t("Elija el acta que muestra la imagen.")),
    run: (motivo, texto) => propose(ask, { tipo: "imagen_de_otra_acta", imagen, identidad: to!.identidad, motivo, texto }),
  };
}

function lostNumber({ dispositivo, ultimo }: DeviceRow, ask: Ask): Action {
  let number = "";
  return {
    title: t("Proponer: número perdido de {d}", { d: dispositivo }),
    sentence: `${effectOf("numero_perdido", dispositivo)} ${t("Esto pasa cuando otra persona lo confirma.")}`,
    reasons: REASONS.numero_perdido,
    words: "optional",
    button: t("Proponer"),
    body: (
      <>
        <label for="numero">{t("Número que el dispositivo dio a la imagen (el último que llegó es {u})", { u: ultimo ?? "—" })}</label>
        <input id="numero" inputMode="numeric" autocomplete="off" onInput={({ currentTarget }) => (number = currentTarget.value.trim())} />
      </>
    ),
    missing: () => (/^[1-9]\d{0,5}$/.test(number) ? "" : t("Escriba el número: de 1 a 999999.")),
    run: (motivo, texto) => propose(ask, { tipo: "numero_perdido", dispositivo, numero: Number(number), motivo, texto }),
  };
}

function DecisionButtons({ row, user, ask, onAct }: { row: DecisionRow; user: string; ask: Ask; onAct: (action: Action) => void }) {
  const path = { path: { decision: row.decision } };
  const subject = subjectOf(row);
  const undoing = row.estado === "por deshacer";
  const mine = (undoing ? row.pidio_deshacer : row.propuso) === user;
  if (row.estado === "propuesta" || undoing) {
    const effect = undoing ? undoneOf(row.tipo, subject) : effectOf(row.tipo, subject);
    return (
      <div class="buttons">
        {!mine && (
          <button
            type="button"
            onClick={() =>
              onAct({
                title: undoing ? t("Confirmar que se deshace") : t("Confirmar"),
                sentence: `${effect} ${t("Pasa en cuanto lo confirme.")}`,
                words: "optional",
                button: t("Confirmar"),
                run: async (_, texto) => {
                  const { estado } = await ask("POST /v1/decisions/{decision}/confirm", { texto }, path);
                  return t("Decisión {n}: {e}.", { n: row.decision, e: estado });
                },
              })
            }
          >
            {t("Confirmar…")}
          </button>
        )}
        <button
          type="button"
          onClick={() =>
            onAct({
              title: mine ? t("Retirar lo propuesto") : t("Rechazar"),
              sentence: t("La propuesta {n} termina aquí y nada cambia ({s}).", { n: row.decision, s: subject }),
              words: "optional",
              button: mine ? t("Retirar") : t("Rechazar"),
              run: async (_, texto) => {
                const { estado } = await ask("POST /v1/decisions/{decision}/reject", { texto }, path);
                return t("Decisión {n}: {e}.", { n: row.decision, e: estado });
              },
            })
          }
        >
          {mine ? t("Retirar…") : t("Rechazar…")}
        </button>
      </div>
    );
  }
  if (row.estado !== "confirmada" || row.tipo === "numero_perdido") return null;
  return (
    <button
      type="button"
      onClick={() =>
        onAct({
          title: t("Proponer que se deshaga"),
          sentence: `${undoneOf(row.tipo, subject)} ${t("Esto pasa cuando otra persona lo confirma.")}`,
          reasons: UNDO_REASONS,
          words: "optional",
          button: t("Proponer"),
          run: async (motivo, texto) => {
            await ask("POST /v1/decisions/{decision}/undo", { motivo, texto }, path);
            return t("Propuesta: falta que otra persona confirme que la decisión {n} se deshaga.", { n: row.decision });
          },
        })
      }
    >
      {t("Deshacer…")}
    </button>
  );
}
