// The words of the desk: kinds, states and reasons as people say them, and the one sentence that each action says first.
import type { DecisionKind, DecisionRow } from "../shared/openapi";
import { mark, t } from "../shared/texts";

export const REASONS: Record<DecisionKind, string[]> = {
  sin_acta: ["paquete_no_entregado", "casilla_no_instalada", "paquete_sin_sobre", "contingencia_de_la_urna"],
  imagen_de_otra_acta: ["etiqueta_equivocada", "identificada_por_error", "identificada_despues", "otra"],
  fuera_de_catalogo: ["dos_identificaciones", "casilla_no_aprobada", "otra"],
  imagen_sin_identidad: ["dos_identificaciones"],
  mensaje_descartado: ["imagen_de_prueba", "repetido", "no_es_un_acta", "otra"],
  numero_perdido: ["dispositivo_descompuesto", "dispositivo_perdido", "imagen_borrada", "otra"],
};
export const UNDO_REASONS = ["error", "nueva_evidencia", "otra"];

const WORDS: Record<string, string> = {
  captura: mark("captura"),
  identificacion: mark("identificación"),
  resolucion: mark("elegir entre tres"),
  decision: mark("decisión de dos"),
  sin_acta: mark("sin acta"),
  imagen_de_otra_acta: mark("imagen de otra acta"),
  fuera_de_catalogo: mark("fuera de catálogo"),
  imagen_sin_identidad: mark("imagen sin identidad"),
  mensaje_descartado: mark("mensaje descartado"),
  numero_perdido: mark("número perdido"),
  paquete_no_entregado: mark("el paquete no se entregó"),
  casilla_no_instalada: mark("la casilla no se instaló"),
  paquete_sin_sobre: mark("el paquete venía sin el sobre del PREP"),
  contingencia_de_la_urna: mark("contingencia de la urna electrónica"),
  etiqueta_equivocada: mark("la etiqueta es de otra acta"),
  identificada_por_error: mark("se identificó por error"),
  identificada_despues: mark("se pudo identificar después"),
  identidad_difiere: mark("la etiqueta y quien la envió"),
  dos_identidades: mark("dos etiquetas en una imagen"),
  dos_identificaciones: mark("dos personas la identificaron así"),
  casilla_no_aprobada: mark("la casilla no está aprobada"),
  imagen_de_prueba: mark("era una imagen de prueba"),
  repetido: mark("está repetido"),
  no_es_un_acta: mark("no es un acta"),
  dispositivo_descompuesto: mark("el dispositivo se descompuso"),
  dispositivo_perdido: mark("el dispositivo se perdió"),
  imagen_borrada: mark("la imagen se borró"),
  error: mark("fue un error"),
  nueva_evidencia: mark("hay nueva evidencia"),
  otra: mark("otra causa (escríbala)"),
  por_identificar: mark("por identificar"),
  recibida: mark("recibida"),
  ilegible: mark("ilegible"),
  capturista: mark("capturista"),
  verificador: mark("verificación"),
  supervisor: mark("supervisión"),
  administrador: mark("administración"),
  operador_catd: mark("operación de CATD"),
  digitalizador: mark("digitalización"),
  cotejador: mark("cotejo"),
  auditor: mark("auditoría"),
  observador: mark("observación"),
};

/** A word of the API as people say it; one that has no other word is said as it is. */
export const inWords = (word: string): string => (WORDS[word] ? t(WORDS[word]) : word.replaceAll("_", " "));

/** The subject of a decision in words. */
export function subjectOf(row: DecisionRow): string {
  if (row.dispositivo) return t("número {n} de {d}", { n: row.numero ?? 0, d: row.dispositivo });
  if (row.mensaje) return t("mensaje {m}", { m: row.mensaje });
  const acta = row.clave ? `${row.eleccion} ${row.clave}` : "";
  const image = row.imagen ? t("imagen {i}", { i: row.imagen.slice(0, 12) }) : "";
  return [acta, image, row.identidad].filter(Boolean).join(" · ");
}

/** What confirming this decision does, in one sentence. */
export function effectOf(kind: DecisionKind | "imagen_libre", subject: string): string {
  switch (kind) {
    case "sin_acta":
      return t("El acta {s} se publica sin números, con su motivo, y deja de esperarse.", { s: subject });
    case "imagen_de_otra_acta":
      return t("La imagen pasa a la otra acta, o a quienes identifican; lo capturado de ella ya no cuenta para la primera ({s}).", { s: subject });
    case "imagen_libre": // of no acta before
      return t("La imagen pasa a ser de esa acta, y dos personas la capturan si todavía no está capturada ({s}).", { s: subject });
    case "fuera_de_catalogo":
      return t("La imagen se publica aparte, fuera de catálogo, y no cuenta para ninguna acta ({s}).", { s: subject });
    case "imagen_sin_identidad":
      return t("La imagen queda sin acta y se publica aparte ({s}).", { s: subject });
    case "mensaje_descartado":
      return t("El mensaje apartado no se procesa más ({s}).", { s: subject });
    case "numero_perdido":
      return t("Queda en la bitácora que esa imagen no llegará ({s}). Esto no se deshace.", { s: subject });
  }
}

/** What undoing it does, in one sentence. */
export const undoneOf = (kind: DecisionKind, subject: string): string =>
  kind === "sin_acta"
    ? t("El acta {s} se espera otra vez.", { s: subject })
    : kind === "imagen_sin_identidad"
      ? t("La imagen vuelve a quienes identifican, sin lo que se dijo antes ({s}).", { s: subject })
    : t("La imagen vuelve a como estaba antes de la decisión ({s}).", { s: subject });
