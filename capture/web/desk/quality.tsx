// How people type, for supervisors: by site and name, with intervals, and in no other order.
import { useEffect, useState } from "preact/hooks";
import type { Ask } from "../shared/find_acta";
import type { QualityAnswer } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { t } from "../shared/texts";

interface Share {
  porcentaje: string;
  de: string;
  a: string;
}

const short = (percent: string): string => Number(percent).toFixed(2);
const between = (share: Share | null): string => (share ? `${short(share.porcentaje)} (${short(share.de)}–${short(share.a)})` : "—");
const three = (of: { cuartil_1: number; mediana: number; cuartil_3: number } | null): string =>
  of ? `${of.mediana} (${of.cuartil_1}–${of.cuartil_3})` : "—";

export function Quality({ ask, version }: { ask: Ask; version: number }) {
  const [found, setFound] = useState<QualityAnswer | null>(null);
  const [said, setSaid] = useState("");
  async function read(): Promise<void> {
    try {
      setFound(await ask("GET /v1/quality", undefined));
      setSaid("");
    } catch (error) {
      setSaid(sentenceOf(error));
    }
  }
  useEffect(() => void read(), [version]);
  if (said) return <p class="notice">{said}</p>;
  if (found === null) return <p role="status">{t("Cargando…")}</p>;
  const { noche, personas } = found;
  return (
    <>
      <p class="soft">{t("Para relevar y ayudar; no es una clasificación. Mire el intervalo antes que el número: con pocas capturas no dice nada.")}</p>
      <div class="wide" tabIndex={0} role="region" aria-label={t("Calidad de la captura")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("Sitio")}</th>
              <th scope="col">{t("Persona")}</th>
              <th scope="col" class="number">{t("Capturas")}</th>
              <th scope="col" class="number">{t("Campos comparados")}</th>
              <th scope="col" class="number">{t("Coinciden, % (95 %)")}</th>
              <th scope="col" class="number">{t("Segundos por acta")}</th>
              <th scope="col" class="number">{t("Teclas por acta")}</th>
              <th scope="col" class="number">{t("Cambio del error por hora (95 %)")}</th>
              <th scope="col" class="number">{t("Actas de control: campos distintos")}</th>
            </tr>
          </thead>
          <tbody>
            {personas.map((each) => (
              <tr key={each.usuario}>
                <td class="site">{each.sitio}</td>
                <td>{each.usuario}</td>
                <td class="number">{each.total}</td>
                <td class="number">{each.campos}</td>
                <td class="number">{between(each.coincidencia)}</td>
                <td class="number">{three(each.segundos)}</td>
                <td class="number">{three(each.teclas)}</td>
                <td class="number">
                  {each.tendencia ? `${short(each.tendencia.por_hora)} (${short(each.tendencia.de)} … ${short(each.tendencia.a)})` : "—"}
                </td>
                <td class="number">{each.controles.campos ? t("{d} de {n}", { d: each.controles.campos_distintos, n: each.controles.campos }) : "—"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p>
        {noche.error_por_campo
          ? t("Error de una captura en la noche, por campo: {e} %; por acta: {a} %.", { e: between(noche.error_por_campo), a: between(noche.error_por_captura) })
          : t("Todavía no hay capturas que comparar con lo que finalmente contó.")}
      </p>
      {noche.error_sin_detectar && (
        <p class="soft">
          {t("Que dos personas coincidan en un error: se estima en {e} % de las actas, hasta {h} %, si cada quien se equivoca por su lado.", {
            e: noche.error_sin_detectar.estimado,
            h: noche.error_sin_detectar.hasta,
          })}
        </p>
      )}
      <button type="button" onClick={() => read()}>
        {t("Leer otra vez")}
      </button>
    </>
  );
}
