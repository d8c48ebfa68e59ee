// The devices: who brings images and when it was last heard of, telephones that are invited, and those that are lost.
import { useState } from "preact/hooks";
import { serverNow } from "../shared/api";
import type { Ask } from "../shared/find_acta";
import type { DeviceRow, SentImage } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { age, clockTime, t } from "../shared/texts";
import type { Action } from "./action";
import type { DeskProps } from "./desk";
import { propose, Shown } from "./images";
import { List } from "./list";
import { effectOf, inWords, REASONS } from "./words";

const MACHINES = ["administrador", "supervisor"];

const since = (moment: string) => <time dateTime={moment}>{age(serverNow() - Date.parse(moment))}</time>;

export function Devices({ ask, role, version, onAct }: Pick<DeskProps, "ask" | "role" | "version" | "onAct">) {
  const common = { ask, version };
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
              <div class="buttons">
                <button type="button" onClick={() => onAct(lostNumber(row, ask))}>
                  {t("Número perdido…")}
                </button>
                {!row.revocado && (
                  <button type="button" onClick={() => onAct(lostDevice(row, ask))}>
                    {t("Se perdió…")}
                  </button>
                )}
              </div>
            ) : null,
        },
        { title: t("Qué envió"), cell: ({ dispositivo, envios }) => (envios > 0 ? <Sent device={dispositivo} ask={ask} role={role} /> : "—") },
      ]}
    >
      {MACHINES.includes(role) && (
        <button type="button" class="primary" onClick={() => onAct(invite(ask))}>
          {t("Invitar un teléfono…")}
        </button>
      )}
    </List>
  );
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

function lostDevice({ dispositivo, envios }: DeviceRow, ask: Ask): Action {
  return {
    title: t("Declarar perdido {d}", { d: dispositivo }),
    sentence: t("Desde ahora {d} no envía nada más. Lo que envió ({n} imágenes) queda y cuenta; para usarlo otra vez hay que inscribirlo de nuevo.", { d: dispositivo, n: envios }),
    button: t("Declarar perdido"),
    run: async () => {
      await ask("POST /v1/devices/{dispositivo}/lost", undefined, { path: { dispositivo } });
      return t("{d} ya no envía.", { d: dispositivo });
    },
  };
}

/** The images of one device, on demand. */
function Sent({ device, ask, role }: { device: string; ask: Ask; role: string }) {
  const [rows, setRows] = useState<SentImage[] | null>(null);
  const [said, setSaid] = useState("");
  const show = () =>
    rows
      ? setRows(null)
      : ask("GET /v1/devices/{dispositivo}/images", undefined, { path: { dispositivo: device } }).then(
          ({ filas }) => setRows(filas),
          (error) => setSaid(sentenceOf(error)),
        );
  return (
    <>
      <button type="button" class="plain" aria-expanded={rows !== null} onClick={show}>
        {rows ? t("Ocultar") : t("Ver")}
      </button>
      {said && <span class="bad">{said}</span>}
      {rows && (
        <ol class="plain-list">
          {rows.map(({ numero, sha256, recibida, estado, clave }) => (
            <li key={numero}>
              {numero} · {clockTime(recibida)} · {inWords(estado)} · {clave ?? t("sin acta todavía")} <Shown sha256={sha256} role={role} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

/** A code with which a telephone enrols itself: short-lived and good once. */
function invite(ask: Ask): Action {
  const told = { device: "", site: "", secciones: "" };
  const numbers = () => told.secciones.split(/[ ,;]+/).filter(Boolean).map(Number);
  const field = (id: keyof typeof told, label: string, hint = "") => (
    <>
      <label for={`invita-${id}`}>{label}</label>
      <input id={`invita-${id}`} autocomplete="off" placeholder={hint} onInput={({ currentTarget }) => (told[id] = currentTarget.value.trim())} />
    </>
  );
  return {
    title: t("Invitar un teléfono"),
    sentence: t("Se muestra un código que sirve una vez y 15 minutos; quien lo lea con su teléfono puede enviar imágenes en nombre de ese dispositivo."),
    body: (
      <>
        {field("device", t("Identificador del dispositivo"), "movil-7")}
        {field("site", t("Sitio"), "CATD-1")}
        {field("secciones", t("Secciones que va a traer, si se sabe"), "12, 13")}
      </>
    ),
    missing: () =>
      !/^[A-Za-z0-9_-]{1,40}$/.test(told.device)
        ? t("El identificador lleva de 1 a 40 letras, números, «-» o «_».")
        : numbers().every((each) => Number.isInteger(each) && each >= 0 && each <= 9999)
          ? ""
          : t("Las secciones son números separados por comas."),
    button: t("Mostrar el código"),
    run: async () => {
      const body = { dispositivo: told.device, sitio: told.site, secciones: numbers(), municipios: [] };
      const { codigo, vence, direccion, cuadros } = await ask("POST /v1/devices/invitations", body);
      return (
        <div class="invitation">
          <Squares rows={cuadros} label={t("Código QR de {d}", { d: direccion })} />
          <div>
            <p>{t("Que el teléfono de {d} lea este código, o escriba en {u}:", { d: told.device, u: direccion.replace(/#.*/, "") })}</p>
            <p class="code">{codigo}</p>
            <p>{t("Sirve una vez, hasta las {h}.", { h: clockTime(vence) })}</p>
          </div>
        </div>
      );
    },
  };
}

/** A QR code with its quiet margin, dark on white also in the dark: a camera reads it. */
function Squares({ rows, label }: { rows: string[]; label: string }) {
  const side = rows.length + 8;
  const path = rows.flatMap((row, y) => [...row].map((each, x) => (each === "1" ? `M${x + 4} ${y + 4}h1v1h-1z` : ""))).join("");
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${side} ${side}`} shape-rendering="crispEdges">
      <rect width={side} height={side} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
