// One acta: where it stands, its images and captures, and what a supervisor or a cotejador may do about it.
import { useEffect, useState } from "preact/hooks";
import { FindActa, type FoundActa } from "../shared/find_acta";
import type { ActaAnswer } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { clockTime, mark, t } from "../shared/texts";
import type { DeskProps, Wanted } from "./desk";
import { typeAgain } from "./findings";
import { askImage, assign, LOOKS, outside, Shown } from "./images";

const COTEJO = [
  { resultado: "aceptada", button: mark("Coincide con el papel…"), sentence: mark("Queda dicho que lo publicado es lo que dice el papel.") },
  {
    resultado: "aceptada tras cambio",
    button: mark("Coincide tras un cambio…"),
    sentence: mark("Queda dicho que lo publicado, después de corregirse, es lo que dice el papel."),
  },
  {
    resultado: "en correccion",
    button: mark("Difiere del papel…"),
    sentence: mark("Queda dicho que lo publicado difiere del papel, y se abre una ronda nueva: dos personas la capturan otra vez, a ciegas."),
  },
];

/** What COTEJADA says in the official file (docs/rules.md). */
const COTEJADA = [mark("no se ha cotejado"), mark("aceptada"), mark("aceptada tras un cambio"), mark("en corrección")];

export function ActaPage({ ask, role, version, onAct, wanted }: DeskProps & { wanted?: Wanted["acta"] | undefined }) {
  const [chosen, setFound] = useState<FoundActa | null>(null);
  const found: Pick<FoundActa, "eleccion" | "clave"> | null = chosen ?? wanted ?? null;
  const [acta, setActa] = useState<ActaAnswer | null>(null);
  const [said, setSaid] = useState("");
  useEffect(() => {
    setActa(null);
    setSaid("");
    if (found === null) return;
    void ask("GET /v1/actas/{eleccion}/{clave}", undefined, { path: { eleccion: found.eleccion, clave: found.clave } }).then(setActa, (error) =>
      setSaid(sentenceOf(error)),
    );
  }, [found?.eleccion, found?.clave, version]);
  const path = found && { path: { eleccion: found.eleccion, clave: found.clave } };
  return (
    <div class="one-acta">
      <FindActa ask={ask} onFind={setFound} onDone={() => {}} />
      {said && (
        <p class="notice" role="alert">
          {said}
        </p>
      )}
      {acta && found && path && (
        <section class="card">
          <h3>
            {chosen ? `${chosen.titulo} · ${t("Sección")} ${chosen.seccion} · ${chosen.casilla}` : `${found.eleccion} · ${found.clave}`}
          </h3>
          <dl>
            <dt>{t("Clave del acta")}</dt>
            <dd>
              <code>{acta.clave}</code>
            </dd>
            <dt>{t("Estado")}</dt>
            <dd>
              <b>{acta.estado}</b>, {t("ronda {r}", { r: acta.ronda })}
            </dd>
            <dt>{t("Observaciones")}</dt>
            <dd>{acta.observaciones.join(", ") || t("ninguna")}</dd>
            {acta.cotejada !== null && (
              <>
                <dt>{t("Cotejo (se publica)")}</dt>
                <dd>
                  COTEJADA = <b>{acta.cotejada}</b>, {t(COTEJADA[acta.cotejada] ?? "")}
                </dd>
              </>
            )}
          </dl>
          {role === "supervisor" && acta.imagenes.length > 0 && (
            <button
              type="button"
              onClick={() => onAct(typeAgain(found, ask, role))}
            >
              {t("Capturar otra vez…")}
            </button>
          )}
          {role === "cotejador" && (
            <div class="buttons">
              {COTEJO.map(({ resultado, button, sentence }) => (
                <button
                  type="button"
                  key={resultado}
                  onClick={() =>
                    onAct({
                      title: t("Cotejo"),
                      sentence: t(sentence),
                      button: t("Guardar el cotejo"),
                      run: async () => {
                        await ask("POST /v1/actas/{eleccion}/{clave}/cotejo", { resultado }, path);
                        return t("Cotejo guardado.");
                      },
                    })
                  }
                >
                  {t(button)}
                </button>
              ))}
            </div>
          )}
          <h4>{t("Imágenes")}</h4>
          {acta.imagenes.length === 0 && <p class="soft">{t("Ninguna ha llegado.")}</p>}
          <ul class="plain-list">
            {acta.imagenes.map(({ sha256, recibida, vigente }) => (
              <li key={sha256}>
                <Shown sha256={sha256} role={role} /> {t("recibida a las {h}", { h: clockTime(recibida) })} {vigente && <b>{t("(la que se captura)")}</b>}
                <div class="buttons">
                  {LOOKS.includes(role) && (
                    <>
                      <button type="button" onClick={() => onAct(assign(sha256, ask, role))}>
                        {t("Es de otra acta…")}
                      </button>
                      <button type="button" onClick={() => onAct(outside(sha256, acta.qr, ask, role))}>
                        {t("Fuera de catálogo…")}
                      </button>
                      <button type="button" onClick={() => onAct(askImage(sha256, ask, role))}>
                        {t("Pedir otra imagen…")}
                      </button>
                    </>
                  )}
                  {role === "supervisor" && !vigente && (
                    <button type="button" onClick={() => onAct(typeAgain({ ...found, imagen: sha256 }, ask, role, true))}>
                      {t("Capturar de ésta…")}
                    </button>
                  )}
                </div>
              </li>
            ))}
          </ul>
          {acta.capturas.length > 0 && (
            <>
              <h4>{t("Capturas")}</h4>
              <div class="wide" tabIndex={0} role="region" aria-label={t("Capturas")}>
                <table>
                  <tbody>
                    {acta.capturas.map(({ ronda, ordinal, hora, numeros, marcas, letras }) => (
                      <tr key={`${ronda} ${ordinal}`}>
                        <th scope="row">
                          {t("Ronda {r}, {o}.ª", { r: ronda, o: ordinal })} <span class="soft">{clockTime(hora)}</span>
                          {letras.length > 0 && <span class="warned"> {t("letra y número no coinciden: {c}", { c: letras.join(", ") })}</span>}
                        </th>
                        {numeros.map((each, at) =>
                          marcas[at] === "X" ? null : (
                            <td class="number" key={at}>
                              {each ?? (marcas[at] === "I" ? t("ilegible") : t("sin dato"))}
                            </td>
                          ),
                        )}
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </>
          )}
        </section>
      )}
    </div>
  );
}
