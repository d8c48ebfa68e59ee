// People: who is here, who is paused, and where each works. A supervisor changes it with a reason, which stays on record.
import { useEffect, useState } from "preact/hooks";
import type { Ask } from "../shared/find_acta";
import type { ChangeRow, PersonRow, SiteRow } from "../shared/openapi";
import { clockTime, mark, t } from "../shared/texts";
import type { Action } from "./action";
import type { DeskProps } from "./desk";
import { List } from "./list";
import { inWords } from "./words";

type Props = Pick<DeskProps, "ask" | "role" | "user" | "version" | "onAct">;

const WHY = mark("Por qué (queda guardado; no se publica)");

export function People({ ask, role, user, version, onAct }: Props) {
  const stateOf = ({ activa, en_pausa }: PersonRow) => (!activa ? t("dada de baja") : en_pausa ? t("en pausa") : t("activa"));
  return (
    <List
      ask={ask}
      version={version}
      name="GET /v1/lists/people"
      empty=""
      columns={[
        { title: t("Persona"), cell: ({ usuario }) => <b>{usuario}</b> },
        { title: t("Rol"), cell: ({ rol }) => inWords(rol) },
        { title: t("Sitio"), cell: ({ sitio }) => sitio },
        { title: t("Estado"), cell: stateOf },
        { title: t("Último cambio"), cell: ({ ultimo_cambio }) => (ultimo_cambio ? clockTime(ultimo_cambio) : "—") },
        {
          title: t("Acción"),
          cell: (row) =>
            role === "supervisor" && row.activa && row.usuario !== user ? (
              <div class="buttons">
                <button type="button" onClick={() => onAct(row.en_pausa ? resume(row, ask) : pause(row, ask))}>
                  {row.en_pausa ? t("Que siga…") : t("Poner en pausa…")}
                </button>
                <button type="button" onClick={() => onAct(move(row, ask))}>
                  {t("Cambiar de sitio…")}
                </button>
              </div>
            ) : null,
        },
      ]}
    />
  );
}

function pause({ usuario }: PersonRow, ask: Ask): Action {
  return {
    title: t("Poner en pausa a {u}", { u: usuario }),
    sentence: t("Desde ahora {u} no recibe tareas; la que tenía espera a otra persona, y lo que tecleó se queda en su pantalla. Lo ya capturado cuenta.", { u: usuario }),
    words: "required",
    label: t(WHY),
    button: t("Poner en pausa"),
    run: async (_, motivo) => {
      await ask("POST /v1/people/{usuario}/pause", { motivo }, { path: { usuario } });
      return t("{u} está en pausa.", { u: usuario });
    },
  };
}

function resume({ usuario }: PersonRow, ask: Ask): Action {
  return {
    title: t("Que siga {u}", { u: usuario }),
    sentence: t("{u} recibe tareas otra vez.", { u: usuario }),
    words: "required",
    label: t(WHY),
    button: t("Que siga"),
    run: async (_, motivo) => {
      await ask("POST /v1/people/{usuario}/resume", { motivo }, { path: { usuario } });
      return t("{u} sigue.", { u: usuario });
    },
  };
}

function move({ usuario, sitio }: PersonRow, ask: Ask): Action {
  const chosen = { site: "" };
  return {
    title: t("Cambiar de sitio a {u}", { u: usuario }),
    sentence: t("Desde ahora {u} trabaja en el sitio que elija: la tarea que tenía espera a otra persona, y entra otra vez con su clave.", { u: usuario }),
    words: "required",
    label: t(WHY),
    button: t("Cambiar de sitio"),
    body: <Sites ask={ask} except={sitio} onChoose={(site) => (chosen.site = site)} />,
    missing: () => (chosen.site ? "" : t("Elija el sitio.")),
    run: async (_, motivo) => {
      await ask("POST /v1/people/{usuario}/site", { motivo, sitio: chosen.site }, { path: { usuario } });
      return t("{u} trabaja ahora en {s}.", { u: usuario, s: chosen.site });
    },
  };
}

/** The closed list of sites. */
function Sites({ ask, except, onChoose }: { ask: Ask; except: string; onChoose: (site: string) => void }) {
  const [sites, setSites] = useState<SiteRow[]>([]);
  useEffect(() => void ask("GET /v1/lists/sites", undefined).then(({ filas }) => setSites(filas)), []);
  return (
    <>
      <label for="sitio-nuevo">{t("Sitio")}</label>
      <select id="sitio-nuevo" onChange={({ currentTarget }) => onChoose(currentTarget.value)}>
        <option value="">{t("Elija el sitio.")}</option>
        {sites
          .filter(({ sitio }) => sitio !== except)
          .map(({ sitio, nombre }) => (
            <option value={sitio} key={sitio}>
              {nombre ? `${sitio} · ${nombre}` : sitio}
            </option>
          ))}
      </select>
    </>
  );
}

export function Changes({ ask, version }: Pick<Props, "ask" | "version">) {
  const what = ({ cambio, sitio }: ChangeRow) =>
    cambio === "sitio" ? t("trabaja en {s}", { s: sitio ?? "" }) : cambio === "pausa" ? t("en pausa") : t("sigue");
  return (
    <List
      ask={ask}
      version={version}
      name="GET /v1/lists/changes"
      empty={t("A nadie se le ha puesto en pausa ni cambiado de sitio.")}
      columns={[
        { title: t("Hora"), cell: ({ hora }) => clockTime(hora) },
        { title: t("Persona"), cell: ({ usuario }) => <b>{usuario}</b> },
        { title: t("Qué"), cell: what },
        { title: t("Por qué"), cell: ({ motivo }) => motivo },
        { title: t("Quién"), cell: ({ quien }) => quien },
      ]}
    />
  );
}
