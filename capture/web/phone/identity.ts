// Which acta a photograph shows: the text of its QR code, and the casillas of this phone.
import type { CasillaOfDevice } from "../shared/openapi";
import { t } from "../shared/texts";

export interface Acta {
  casilla: CasillaOfDevice;
  eleccion: string;
  titulo: string;
  qr: string;
}

/** The identity in the text of a sticker, without its digest; null if it is none. As prep/domain/catalog.py reads it. */
export function identityIn(text: string): string | null {
  const parts = text.trim().split("|");
  if ((parts.length !== 8 && parts.length !== 9) || text.length > 200) return null;
  const fields = parts.slice(0, 8).map((part) => part.trim().toUpperCase().replace(/^0+(?=\d+$)/, ""));
  return /^\d+$/.test(fields[0]!) && fields.every((field) => /^[0-9A-Z]+$/.test(field)) ? fields.join("|") : null;
}

/** The one identity that these texts hold; null if they hold none, or two. */
export function oneIdentity(texts: readonly string[]): string | null {
  const found = [...new Set(texts.map(identityIn).filter((each): each is string => each !== null))];
  return found.length === 1 ? found[0]! : null;
}

export const actasOf = (casillas: readonly CasillaOfDevice[]): Acta[] =>
  casillas.flatMap((casilla) => casilla.actas.map(({ eleccion, titulo, qr }) => ({ casilla, eleccion, titulo, qr })));

export const actaOf = (casillas: readonly CasillaOfDevice[], qr: string): Acta | undefined =>
  actasOf(casillas).find((each) => each.qr === qr);

function kind(letter: string): string {
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
  return names[letter] ?? letter;
}

/** «sección 12, básica»: a casilla as people say it. */
export function casillaInWords(seccion: number | string, tipo: string, numero: number | string, ext: number | string): string {
  const number = tipo === "B" ? "" : ` ${numero}`;
  const more = Number(ext) ? ` ${t("contigua")} ${ext}` : "";
  const name = `${kind(tipo)}${number}${more}`;
  return Number(seccion) ? t("sección {s}, {c}", { s: seccion, c: name }) : name;
}

/** The acta of an identity in words, also if it is none of this phone's. */
export function actaInWords(casillas: readonly CasillaOfDevice[], qr: string): string {
  const known = actaOf(casillas, qr);
  if (known) {
    const { seccion, tipo, numero, ext_contigua } = known.casilla;
    return `${casillaInWords(seccion, tipo, numero, ext_contigua)}, ${known.titulo}`;
  }
  const [, , , seccion = "", numero = "", tipo = "", ext = ""] = qr.split("|");
  return casillaInWords(seccion, tipo, numero, ext);
}
