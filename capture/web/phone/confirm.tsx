// Before a photograph is sent: which acta is it? The person looks, corrects, and may send it in any case.
import { useEffect, useState } from "preact/hooks";
import { t } from "../shared/texts";
import { actaInWords, actaOf, actasOf, casillaInWords } from "./identity";
import { type Enrolment, original, type Picture } from "./store";

interface Props {
  device: Enrolment;
  picture: Picture;
  /** The text of the acta's QR code, "" if nobody here knows it, null if it is no acta and is not sent. */
  onDone: (acta: string | null) => void;
}

export function Confirm({ device, picture, onDone }: Props) {
  const [source, setSource] = useState("");
  const [choosing, setChoosing] = useState(!picture.acta);
  useEffect(() => setChoosing(!picture.acta), [picture.acta]);
  useEffect(() => {
    let address = "";
    void original(picture.sha256).then((content) => {
      if (content) setSource((address = URL.createObjectURL(new Blob([content], { type: picture.type }))));
    });
    return () => URL.revokeObjectURL(address);
  }, [picture.sha256]);

  const words = picture.acta ? actaInWords(device.casillas, picture.acta) : "";
  const known = actaOf(device.casillas, picture.acta);
  return (
    <main class="phone confirm">
      {source && <img class="shown" src={source} alt={t("La foto que tomó")} onError={() => setSource("")} />}
      {picture.advice.length > 0 && (
        <ul class="notice advice">
          {picture.advice.map((each) => (
            <li key={each}>{t(each)}</li>
          ))}
          <li class="soft">{t("Si no puede tomar otra mejor, envíela: una mala foto es mejor que ninguna.")}</li>
        </ul>
      )}
      {!choosing ? (
        <>
          <h1>{t("«{acta}»: ¿es ésta?", { acta: words.charAt(0).toUpperCase() + words.slice(1) })}</h1>
          {known?.casilla.lugar && <p class="soft">{known.casilla.lugar}</p>}
          {!known && device.casillas.length > 0 && <p class="notice">{t("No es de sus casillas. Revise la etiqueta; si es correcta, envíela.")}</p>}
          <div class="answers">
            <button class="primary" type="button" onClick={() => onDone(picture.acta)}>{t("Sí, enviar")}</button>
            <button type="button" onClick={() => setChoosing(true)}>{t("No, es otra")}</button>
          </div>
        </>
      ) : (
        <Choose device={device} onDone={onDone} />
      )}
    </main>
  );
}

function Choose({ device, onDone }: Pick<Props, "device" | "onDone">) {
  const [casilla, setCasilla] = useState(device.casillas.length === 1 ? device.casillas[0]!.clave : "");
  const found = actasOf(device.casillas).filter((each) => each.casilla.clave === casilla);
  return (
    <>
      <h1>{t("¿De qué acta es la foto?")}</h1>
      {device.casillas.length > 0 && (
        <>
          <label for="casilla">{t("Casilla")}</label>
          <select id="casilla" value={casilla} onChange={(event) => setCasilla(event.currentTarget.value)}>
            <option value="">{t("elija una")}</option>
            {device.casillas.map((each) => (
              <option key={each.clave} value={each.clave}>
                {casillaInWords(each.seccion, each.tipo, each.numero, each.ext_contigua)}
                {each.lugar ? ` · ${each.lugar}` : ""}
              </option>
            ))}
          </select>
        </>
      )}
      <div class="answers">
        {found.map((each) => (
          <button key={each.qr} class="primary" type="button" onClick={() => onDone(each.qr)}>
            {t("Enviar: {acta}", { acta: each.titulo })}
          </button>
        ))}
        <button type="button" onClick={() => onDone("")}>{t("No sé cuál es: que otros la identifiquen")}</button>
        <button class="plain" type="button" onClick={() => onDone(null)}>{t("No es un acta: no enviarla")}</button>
      </div>
    </>
  );
}
