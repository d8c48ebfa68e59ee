// The board: the work that waits and since when, the progress of the actas, the speed of people, and silent devices.
import { useEffect, useState } from "preact/hooks";
import { serverNow } from "../shared/api";
import type { Ask } from "../shared/find_acta";
import type { BoardAnswer, DeviceRow, UnsettledPart } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { age, clockTime, mark, t } from "../shared/texts";
import type { Page } from "./desk";
import { inWords } from "./words";

const SECONDS = 5;
/** An image that waits longer than this is looked at, and a device that is silent for longer. */
const LATE_MINUTES = 15;
const SILENT_MINUTES = 30;

interface Props {
  ask: Ask;
  role: string;
  /** The pages that this person may open. */
  pages: Page[];
  onShow: (page: Page) => void;
}

/** Open work: its count, its words, and the page on which a person can do it. */
const OPEN: [keyof UnsettledPart, string, Page | null][] = [
  ["sin_imagen", mark("actas de las que no llegó imagen: {n}"), "missing"],
  ["en_captura", mark("actas que se están capturando: {n}"), "waiting"],
  ["sin_comparar", mark("actas con una captura que no se ha comparado: {n}"), null],
  ["por_identificar", mark("imágenes por identificar: {n}"), "unidentified"],
  ["sin_leer", mark("imágenes que no se han leído: {n}"), "unidentified"],
  ["propuestas", mark("propuestas que esperan a otra persona: {n}"), "decisions"],
  ["apartados", mark("mensajes apartados: {n}"), "parked"],
  ["retenidas", mark("imágenes retenidas, que un corte no pudo tener: {n}"), null],
  ["en_camino", mark("avisos en camino: {n}"), null],
];

/** Whether all is settled, or else the open work: that no task waits does not say it. */
function Unsettled({ found, pages, onShow }: { found: UnsettledPart; pages: Page[]; onShow: (page: Page) => void }) {
  const open = OPEN.filter(([name]) => found[name] > 0);
  return (
    <section class="card unsettled" aria-labelledby="por-resolver">
      <h3 id="por-resolver">{t("Por resolver")}</h3>
      {open.length === 0 && found.capturadas === found.esperadas ? (
        <p class="good">{t("Todo está resuelto: las {n} actas están capturadas o se dijo por qué no llegan.", { n: found.esperadas })}</p>
      ) : (
        <ul>
          {open.map(([name, words, page]) => (
            <li key={name}>
              {t(words, { n: found[name] })}{" "}
              {page && pages.includes(page) && (
                <button type="button" class="plain" onClick={() => onShow(page)} aria-label={t("Ver: {x}", { x: t(words, { n: found[name] }) })}>
                  {t("Ver")}
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Board({ ask, role, pages, onShow }: Props) {
  const [board, setBoard] = useState<BoardAnswer | null>(null);
  const [devices, setDevices] = useState<DeviceRow[]>([]);
  const [said, setSaid] = useState("");
  useEffect(() => {
    let gone = false;
    let turn = 0;
    async function read(): Promise<void> {
      // A tab that nobody sees asks nothing: so its session ends when its person has left.
      if (!document.hidden) {
        try {
          setBoard(await ask("GET /v1/board", undefined));
          if (turn++ % 6 === 0) setDevices((await ask("GET /v1/lists/devices", undefined)).filas);
          setSaid("");
        } catch (error) {
          setSaid(sentenceOf(error));
        }
      }
      if (!gone) timer = setTimeout(read, SECONDS * 1000);
    }
    let timer = setTimeout(read, 0);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, []);
  if (said) return <p class="notice">{said}</p>;
  if (board === null) return <p role="status">{t("Cargando…")}</p>;

  const now = Date.parse(board.hora);
  const total = board.actas.reduce((sum, { cuantas }) => sum + cuantas, 0);
  const silent = devices.filter(
    ({ revocado, envios, ultimo_envio }) =>
      !revocado && envios > 0 && ultimo_envio && serverNow() - Date.parse(ultimo_envio) > SILENT_MINUTES * 60_000,
  );
  const mute = devices.filter(({ revocado, envios }) => !revocado && envios === 0);
  return (
    <div class="board">
      <Unsettled found={board.pendiente} pages={pages} onShow={onShow} />
      <section class="card">
        <h3>{t("Esperan a una persona")}</h3>
        {board.esperan.length === 0 ? (
          <p>{t("Ninguna tarea espera a una persona.")}</p>
        ) : (
          <table>
            <thead>
              <tr>
                <th scope="col">{t("Paso")}</th>
                <th scope="col" class="number">{t("Esperan")}</th>
                <th scope="col" class="number">{t("En manos")}</th>
                <th scope="col" class="number">{t("La más vieja")}</th>
              </tr>
            </thead>
            <tbody>
              {board.esperan.map(({ que, ordinal, no_sitio, cuantas, en_manos, desde }) => {
                const late = now - Date.parse(desde) > LATE_MINUTES * 60_000;
                return (
                  <tr key={`${que} ${ordinal} ${no_sitio}`}>
                    <td>
                      {inWords(que)} {que !== "resolucion" && t("{n}.ª", { n: ordinal })}
                      {no_sitio && <span class="soft"> {t("(no en {s})", { s: no_sitio })}</span>}
                    </td>
                    <td class="number">{cuantas}</td>
                    <td class="number">{en_manos}</td>
                    <td class={late ? "number warned" : "number"}>
                      {age(now - Date.parse(desde))}
                      {late && " ⚠"}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        )}
        <button type="button" class="plain" onClick={() => onShow("waiting")}>
          {t("Ver uno por uno")}
        </button>
      </section>
      <section class="card">
        <h3>{t("Actas")}</h3>
        <table>
          <tbody>
            {board.actas.map(({ estado, cuantas }) => (
              <tr key={estado}>
                <th scope="row">{estado}</th>
                <td class="number">{cuantas}</td>
                <td class="share">
                  <meter min={0} max={total} value={cuantas} aria-label={estado} /> {((100 * cuantas) / total).toFixed(1)} %
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section class="card">
        <h3>{t("Dispositivos callados")}</h3>
        {silent.length === 0 && mute.length === 0 && <p class="good">{t("Todos han enviado hace poco.")}</p>}
        <ul class="plain-list">
          {silent.map(({ dispositivo, sitio, ultimo_envio }) => (
            <li key={dispositivo}>
              <b>{dispositivo}</b> · {sitio} · {t("nada desde hace {a}", { a: age(serverNow() - Date.parse(ultimo_envio!)) })}
            </li>
          ))}
          {mute.slice(0, 20).map(({ dispositivo, sitio }) => (
            <li key={dispositivo}>
              <b>{dispositivo}</b> · {sitio} · {t("no ha enviado nada")}
            </li>
          ))}
          {mute.length > 20 && <li>{t("y {n} más", { n: mute.length - 20 })}</li>}
        </ul>
        <button type="button" class="plain" onClick={() => onShow("devices")}>
          {t("Ver todos")}
        </button>
      </section>
      {role === "supervisor" && (
      <section class="card people">
        <h3>{t("Quién captura, en la última hora")}</h3>
        <p class="soft">{t("Para relevar y ayudar; no es una clasificación.")}</p>
        <div class="wide" tabIndex={0} role="region" aria-label={t("Quién captura, en la última hora")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("Sitio")}</th>
                <th scope="col">{t("Persona")}</th>
                <th scope="col" class="number">{t("Última hora")}</th>
                <th scope="col" class="number">{t("Segundos por acta")}</th>
                <th scope="col" class="number">{t("En la noche")}</th>
                <th scope="col">{t("Última captura")}</th>
                <th scope="col">{t("Tiene una tarea")}</th>
              </tr>
            </thead>
            <tbody>
              {board.personas.map((each) => (
                <tr key={each.usuario}>
                  <td class="site">{each.sitio}</td>
                  <td>
                    {each.usuario} <span class="soft">{inWords(each.rol)}</span>
                  </td>
                  <td class="number">{each.recientes}</td>
                  <td class="number">{each.mediana_segundos === null ? "—" : Math.round(each.mediana_segundos)}</td>
                  <td class="number">{each.capturas}</td>
                  <td>{each.ultima ? t("hace {a}", { a: age(now - Date.parse(each.ultima)) }) : t("ninguna")}</td>
                  <td>{each.ocupada_desde ? t("desde hace {a}", { a: age(now - Date.parse(each.ocupada_desde)) }) : t("no")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
      )}
      <p class="soft read">{t("Leído a las {h}; se lee cada {s} s.", { h: clockTime(board.hora), s: SECONDS })}</p>
    </div>
  );
}
