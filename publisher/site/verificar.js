"use strict";
/* Checks one acta, one file or one proof in the browser. Whatever it reads was written by others: every text is shown by
   textContent, every read has a limit, and what could not be checked is never said to be good. */
(() => {
const MB = 1 << 20;
const LIMITS = {index: MB, sums: MB, json: 64 * MB, table: 512 * MB, image: 256 * MB, proof: MB, file: 2048 * MB};
const HEX = /^[0-9a-f]{64}$/;
const NAME = /^[^/\\\u0000-\u001f\u007f.][^/\\\u0000-\u001f\u007f]{0,254}$/;
const PICTURES = {jpg: "image/jpeg", png: "image/png", webp: "image/webp"};
const MOST_CORTES = 5000;
const utf8 = new TextEncoder();
const GOOD = "good", BAD = "bad", UNABLE = "unable";
const MARKS = {[GOOD]: ["✓", "Bien: "], [BAD]: ["✗", "Mal: "], [UNABLE]: ["?", "Sin comprobar: "]};

/* Why something could not be had or read. `Missing` is told apart: of what must be there, it is wrong. */
class Unable extends Error {}
class Missing extends Unable {}
class Wrong extends Error {
  constructor(sentence, pairs = []) { super(sentence); this.pairs = pairs; }
}

// --- what is shown -------------------------------------------------------------------------------------------------

const make = (tag, text = "", kind = "") => {
  const node = document.createElement(tag);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
};

const pairList = (pairs, kind) => {
  const list = make("dl", "", kind);
  for (const [name, value] of pairs) {
    const held = make("dd");
    held.append(/^[0-9a-f]{8,}$/.test(value) ? make("code", value) : String(value));
    list.append(make("dt", name), held);
  }
  return list;
};

class Result {
  constructor(place) {
    this.verdict = place.querySelector(".verdict");
    this.list = place.querySelector(".steps");
    this.shown = place.querySelector(".shown");
    this.count = {[GOOD]: 0, [BAD]: 0, [UNABLE]: 0};
    this.verdict.className = "verdict";
    this.list.replaceChildren();
    for (const old of place.querySelectorAll(".simulacro")) old.remove();
    if (this.shown) this.shown.replaceChildren();
  }
  tell(sentence) { this.verdict.textContent = sentence; }
  say(outcome, sentence, pairs = [], more = null) {
    this.count[outcome] += 1;
    const item = make("li", "", outcome);
    const mark = make("b", MARKS[outcome][0]);
    mark.setAttribute("aria-hidden", "true");
    const body = make("div");
    const said = make("p", "", "said");
    said.append(make("span", MARKS[outcome][1], "word"), sentence);
    body.append(said);
    if (pairs.length) body.append(pairList(pairs, "pair"));
    if (more) body.append(more);
    item.append(mark, body);
    this.list.append(item);
    return outcome === GOOD;
  }
  note(sentence) { this.list.before(make("p", sentence, "simulacro")); }
  good(sentence, pairs, more) { return this.say(GOOD, sentence, pairs, more); }
  bad(sentence, pairs, more) { return this.say(BAD, sentence, pairs, more); }
  unable(sentence, pairs) { return this.say(UNABLE, sentence, pairs); }
  equal(sentence, expected, found, otherwise) {
    return expected === found
      ? this.good(sentence, [["Huella", found]])
      : this.bad(otherwise, [["Se esperaba", expected], ["Se encontró", found]]);
  }
  end() {
    const {good, bad, unable} = this.count;
    const steps = (n) => `${n} ${n === 1 ? "paso" : "pasos"}`;
    const besides = [good ? `${steps(good)} bien` : "", unable ? `${steps(unable)} sin comprobar` : ""].filter(Boolean);
    if (bad) this.close(BAD, `Algo está mal: ${steps(bad)} mal${besides.length ? `, ${besides.join(", ")}` : ""}.`);
    else if (unable || !good) this.close(UNABLE, `No se pudo comprobar todo: ${besides.join(", ") || "nada"}. Esto no es una aprobación.`);
    else this.close(GOOD, `Todo lo que se comprobó está bien: ${steps(good)}.`);
  }
  close(outcome, sentence) {
    this.verdict.className = `verdict ${outcome}`;
    this.verdict.textContent = `${MARKS[outcome][0]} ${sentence}`;
  }
}

/* Does the step; what it throws becomes a finding. Whether it came to its end. */
const attempt = async (result, step) => {
  try {
    return (await step()) !== false;
  } catch (problem) {
    if (problem instanceof Missing || problem instanceof Wrong) result.bad(problem.message, problem.pairs);
    else if (problem instanceof Unable) result.unable(problem.message);
    else result.unable("Su navegador no pudo terminar este paso.");
    return false;
  }
};

// --- digests and texts ---------------------------------------------------------------------------------------------

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const sha256 = async (bytes) => {
  if (!globalThis.crypto || !crypto.subtle) {
    throw new Unable("No se pudo comprobar: su navegador solo calcula huellas en direcciones https. Use https, o guarde esta página y ábrala desde su equipo.");
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
};
const digest = async (bytes) => hex(await sha256(bytes));

const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
};
/* As the pages write it, where it is what a corte says. */
const moment = (text) =>
  String(text).replace(
    /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d)\S*([+-])0?(\d{1,2}):(\d\d)$/,
    (_, year, month, day, hour, sign, hours, minutes) =>
      `${day}/${month}/${year} ${hour} (UTC${sign}${hours}${minutes === "00" ? "" : `:${minutes}`})`,
  );
const of = (what) => `de ${what}`.replace(/^de el /, "del ");
const same = (left, right) => left.length === right.length && left.every((byte, at) => byte === right[at]);

const textOf = (bytes, what) => {
  try {
    return new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch {
    throw new Wrong(`${what} no es texto UTF-8.`);
  }
};

/* The only form in which a base64 is taken: what decodes to the same bytes is not the same text. */
const fromBase64 = (text, what) => {
  let raw = "";
  try { raw = atob(text); } catch { raw = ""; }
  if (!raw || btoa(raw) !== text) throw new Wrong(`${what} no es base64.`);
  return Uint8Array.from(raw, (char) => char.charCodeAt(0));
};

const canonical = (value) => {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (Number.isSafeInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object") throw new Wrong("Un JSON tiene valores que no se admiten.");
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
};

/* Sorted keys, no spaces, none twice: otherwise two readers could read two things in the same bytes. */
const readJson = (bytes, what, end = "\n") => {
  const text = textOf(bytes, what);
  let value;
  try { value = JSON.parse(text); } catch { throw new Wrong(`${what} no es JSON.`); }
  if (value === null || typeof value !== "object" || canonical(value) + end !== text) {
    throw new Wrong(`${what} no es JSON en su forma canónica.`);
  }
  return value;
};

const readSums = (bytes, what) => {
  const text = textOf(bytes, what);
  const lines = text.split("\n");
  const sums = new Map();
  if (lines.pop() !== "" || !lines.length) throw new Wrong(`${what} está vacío o cortado.`);
  for (const line of lines) {
    const found = /^([0-9a-f]{64}) {2}(.+)$/.exec(line);
    if (!found || !NAME.test(found[2]) || found[2] === "SHA256SUMS" || sums.has(found[2])) {
      throw new Wrong(`${what} tiene una línea que no es «huella  nombre».`, [["Línea", line.slice(0, 200)]]);
    }
    sums.set(found[2], found[1]);
  }
  return sums;
};

/* The digest in what a person copied from a PDF or a page; null where there is none. */
const readCode = (text) => {
  const told = text.normalize("NFKC").toLowerCase()
    .replace(/^\W*(?:c(?:o|ó|o\u0301)digo[\s_]*(?:de\s*)?integridad)?\W*(?:sha[\s_-]*256(?=\W))?\W*/, "")
    .replace(/[\p{Cc}\p{Cf}\p{Z}\p{Pd}\p{Pi}\p{Pf}\p{Mn}'"`´¨.,;:−_]/gu, "");
  return HEX.test(told) ? told : null;
};
const readClave = (text) => {
  const told = text.normalize("NFKC").toUpperCase().replace(/[\s'"\-\p{Cf}\p{Pi}\p{Pf}\p{Pd}]/gu, "");
  return /^[0-9]{2}[0-9A-Z]{4,30}$/.test(told) ? told : null;
};

/* Rows of a CSV as RFC 4180 writes it. */
function* readCsv(text, what) {
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|$)/y;
  let row = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  while (at < text.length) {
    field.lastIndex = at;
    const found = field.exec(text);
    if (!found) throw new Wrong(`${what} no es un CSV bien formado.`);
    row.push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    at = field.lastIndex;
    if (found[3] !== ",") { yield row; row = []; }
    else if (at === text.length) { row.push(""); yield row; row = []; }
  }
}

const imagePath = (sha, extension) => `imagenes/${sha.slice(0, 2)}/${sha}.${extension}`;
const proofPath = (sha) => `bitacora/acuses/${sha.slice(0, 2)}/${sha}.tlog-proof`;
const folderOf = (corte) => `cortes/${String(corte).padStart(4, "0")}`;

// --- where files come from -----------------------------------------------------------------------------------------

const readFile = async (file, limit) => {
  if (file.size > limit) throw new Unable(`${file.name} tiene ${file.size} bytes; aquí se admiten ${limit}.`);
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Unable(`No se pudo leer ${file.name}.`);
  }
};

const site = {
  async read(path, limit) {
    if (location.protocol === "file:") {
      throw new Unable("Esta página se abrió desde su equipo: elija los archivos, o la carpeta con la copia de lo publicado.");
    }
    let answer;
    try {
      answer = await fetch(new URL(path.split("/").map(encodeURIComponent).join("/"), document.baseURI), {
        cache: "no-cache", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      });
    } catch {
      throw new Unable(`No se pudo pedir ${path}: revise su conexión.`);
    }
    if (answer.status === 404 || answer.status === 410) throw new Missing(`Falta ${path}.`);
    if (!answer.ok || !answer.body) throw new Unable(`El sitio respondió ${answer.status} al pedir ${path}.`);
    const parts = [];
    let size = 0;
    const reader = answer.body.getReader();
    try {
      for (let got = await reader.read(); !got.done; got = await reader.read()) {
        size += got.value.length;
        if (size > limit) { await reader.cancel(); throw new Wrong(`${path} tiene más de ${limit} bytes.`); }
        parts.push(got.value);
      }
    } catch (problem) {
      if (problem instanceof Wrong) throw problem;
      throw new Unable(`Se interrumpió la descarga de ${path}.`);
    }
    return join(...parts);
  },
};

/* A copy in a folder of this machine: paths as in the published tree, whatever folder it stands in. */
const copyOf = (files) => {
  const paths = new Map([...files].map((file) => [file.webkitRelativePath || file.name, file]));
  const index = [...paths.keys()].filter((path) => path.split("/").pop() === "index.json").sort((a, b) => a.length - b.length)[0];
  const root = index === undefined ? "" : index.slice(0, -"index.json".length);
  return {
    async read(path, limit) {
      const file = paths.get(root + path);
      if (!file) throw new Missing(`Falta ${path} en la carpeta que eligió.`);
      return readFile(file, limit);
    },
  };
};

// --- a corte -------------------------------------------------------------------------------------------------------

/* The last corte, as far as it is what index.json points at: its list of digests and its manifest. */
const lastCorte = async (source, result) => {
  const bytes = await source.read("index.json", LIMITS.index);
  const index = readJson(bytes, "index.json");
  const number = index.corte;
  if (!Number.isSafeInteger(number) || number < 0 || index.carpeta !== folderOf(number) || !HEX.test(index.sha256sums)) {
    throw new Wrong("index.json no dice cuál es el último corte.");
  }
  if (index.simulacro !== false) result.note("Simulacro. Datos de prueba: no son resultados de ninguna elección.");
  result.good(`El último corte es el ${number}.`, [["Fecha y hora", moment(index.fecha_hora)], ["Fase", String(index.fase)]]);
  const corte = await readCorte(source, number, index.sha256sums, result);
  for (const name of ["simulacro", "fase", "fecha_hora"]) {
    if (corte.manifest[name] !== index[name]) {
      result.bad(`index.json y el manifiesto del corte ${number} no dicen lo mismo.`, [["index.json", String(index[name])], ["Manifiesto", String(corte.manifest[name])]]);
    }
  }
  return corte;
};

const readCorte = async (source, number, expected, result = null) => {
  const folder = folderOf(number);
  const bytes = await source.read(`${folder}/SHA256SUMS`, LIMITS.sums);
  const found = await digest(bytes);
  const otherwise = `${folder}/SHA256SUMS no es el que se anunció.`;
  if (!result && found !== expected) throw new Wrong(otherwise, [["Se esperaba", expected], ["Se encontró", found]]);
  if (result) result.equal(`${folder}/SHA256SUMS es el que index.json anuncia.`, expected, found, otherwise);
  const corte = {number, folder, source, sumsDigest: found, sums: readSums(bytes, `${folder}/SHA256SUMS`)};
  corte.manifest = readJson(await listed(corte, "manifest.json", LIMITS.json), `${folder}/manifest.json`);
  if (corte.manifest.corte !== number || !Array.isArray(corte.manifest.elecciones)) {
    throw new Wrong(`${folder}/manifest.json no es el de ese corte.`);
  }
  return corte;
};

/* The bytes of a file of the corte, which are those of its list. */
const listed = async (corte, name, limit) => {
  const path = `${corte.folder}/${name}`;
  const expected = corte.sums.get(name);
  if (!expected) throw new Wrong(`${corte.folder}/SHA256SUMS no lista ${name}.`);
  const bytes = await corte.source.read(path, limit);
  const found = await digest(bytes);
  if (found !== expected) {
    throw new Wrong(`${path} no es el archivo de la lista.`, [["Se esperaba", expected], ["Se encontró", found]]);
  }
  return bytes;
};

/* The corte before, if the manifest names its list and that is what is there. */
const corteBefore = async (corte) => {
  const before = corte.manifest.anterior;
  if (corte.number === 0 || before === null) {
    if (corte.number !== 0 || before !== null) throw new Wrong(`${corte.folder}/manifest.json no nombra el corte anterior.`);
    return null;
  }
  if (!before || before.corte !== corte.number - 1 || !HEX.test(before.sha256sums)) {
    throw new Wrong(`${corte.folder}/manifest.json no nombra el corte anterior.`);
  }
  return readCorte(corte.source, before.corte, before.sha256sums);
};

/* Where an image came out: from the last corte back, each found by the digest that the one after it holds. */
const findImage = async (last, sha, clave, result) => {
  let corte = last;
  for (let turn = 0; corte && turn < MOST_CORTES; turn += 1) {
    result.tell(`Comprobando: busco la imagen en el corte ${corte.number}…`);
    const path = `${corte.folder}/images.csv`;
    for (const row of readCsv(textOf(await listed(corte, "images.csv", LIMITS.table), path), path)) {
      const extension = row.length === 3 && row[0] === sha ? String(row[1]).split(".").pop() : "";
      const whose = extension ? row[2].replaceAll("'", "") : "";
      if (!extension || (clave && whose !== clave)) continue;
      if (!/^(jpg|png|webp|tif|pdf|avif|gif|bmp)$/.test(extension) || row[1] !== imagePath(sha, extension)) {
        throw new Wrong(`${path} da a la imagen una dirección que no es la suya.`);
      }
      return {corte, path: row[1], extension, clave: whose, from: last.number};
    }
    corte = await corteBefore(corte);
  }
  return null;
};

// --- an acta -------------------------------------------------------------------------------------------------------

const checkActa = async (source, asked, keys, result) => {
  let corte = null;
  if (!await attempt(result, async () => { corte = await lastCorte(source, result); })) return;
  result.good(`El manifiesto del corte ${corte.number} es el de la lista.`, [["Huella", corte.sums.get("manifest.json")]]);
  const rows = [];
  const wanted = corte.manifest.elecciones.filter((each) => !asked.election || each.codigo === asked.election);
  for (const election of wanted) {
    result.tell(`Comprobando: leo ${election.archivo}…`);
    await attempt(result, async () => rows.push(...await findRows(corte, election, asked, result)));
  }
  const about = asked.clave ? `el acta ${asked.clave}` : "un acta con ese código de integridad";
  if (!rows.length && !result.count[BAD]) result.bad(`El corte ${corte.number} no tiene ${about}.`);
  if (rows.length > 1 && asked.clave && new Set(rows.map((row) => row.election)).size < rows.length) {
    result.bad("El CSV tiene más de una fila para esa acta.");
  }
  for (const row of rows) await checkRow(corte, row, asked, keys, result);
  await checkCorteProof(corte, keys, result);
};

const findRows = async (corte, election, asked, result) => {
  if (!NAME.test(election.archivo)) throw new Wrong("El manifiesto nombra un archivo con un nombre que no se admite.");
  const path = `${corte.folder}/${election.archivo}`;
  const bytes = await listed(corte, election.archivo, LIMITS.table);
  result.good(`${path} es el archivo de la lista.`, [["Huella", corte.sums.get(election.archivo)]]);
  let header = null;
  const rows = [];
  for (const cells of readCsv(textOf(bytes, path), path)) {
    if (!header) { if (cells[0] === "CLAVE_CASILLA") header = cells; continue; }
    const row = Object.fromEntries(header.map((name, at) => [name, cells[at] ?? ""]));
    const clave = (row.CLAVE_ACTA || "").replaceAll("'", "");
    if (asked.clave ? clave === asked.clave : row.CODIGO_INTEGRIDAD === asked.code) {
      if (cells.length !== header.length) throw new Wrong(`${path}: la fila de ${clave} no tiene sus columnas.`);
      rows.push({clave, row, header, path, election: String(election.codigo)});
    }
  }
  if (!header) throw new Wrong(`${path} no tiene el encabezado de un archivo oficial.`);
  return rows;
};

const number = (cell) => (/^[0-9]{1,9}$/.test(cell) ? Number(cell) : 0);

const checkRow = async (corte, found, asked, keys, result) => {
  const {row, header, clave} = found;
  const first = header.indexOf("TOTAL_VOTOS_SACADOS") + 1;
  const votes = header.slice(first, header.indexOf("TOTAL_VOTOS_ASENTADO"));
  const values = make("details");
  values.append(make("summary", "Los valores de su fila, para compararlos con la imagen"), pairList(header.slice(first - 4).map((name) => [name, row[name] || "—"]), "values"));
  const title = `${found.election}, acta ${clave}`;
  if (row.TOTAL_VOTOS_CALCULADO === "-") {
    result.good(`${title}: está en el corte ${corte.number}, todavía sin capturar.`, [], values);
    return;
  }
  const sum = votes.reduce((total, name) => total + number(row[name]), 0);
  if (first < 1 || String(sum) !== row.TOTAL_VOTOS_CALCULADO) {
    result.bad(`${title}: el total calculado no es la suma de sus votos.`, [["Suma de los votos", String(sum)], ["TOTAL_VOTOS_CALCULADO", row.TOTAL_VOTOS_CALCULADO]], values);
  } else {
    result.good(`${title}: sus votos suman ${sum}, como dice su fila.`, [["Observaciones", row.OBSERVACIONES || "ninguna"]], values);
  }
  const code = row.CODIGO_INTEGRIDAD;
  if (asked.clave && asked.code && code !== asked.code) {
    result.bad("La página del acta y el CSV no dan el mismo código de integridad.", [["La página", asked.code], ["El CSV", code]]);
  }
  if (code === "-") {
    result.good("La fila no tiene imagen: no hay acta que mostrar.");
    return;
  }
  if (!HEX.test(code)) { result.bad("El código de integridad de la fila no es una huella."); return; }
  await attempt(result, () => checkImage(corte, clave, code, keys, result));
};

const checkImage = async (corte, clave, code, keys, result) => {
  const place = await findImage(corte, code, clave, result);
  if (!place) throw new Wrong(`Ningún corte lista esa imagen para el acta ${clave}.`, [["Código de integridad", code]]);
  const chain = place.from === place.corte.number
    ? `Apareció en el corte ${place.from}`
    : `Apareció en el corte ${place.corte.number}; de ahí al ${place.from}, cada corte lleva la huella del anterior`;
  result.good(`${chain}.`, [["Imagen", place.path]]);
  result.tell("Comprobando: leo la imagen…");
  const bytes = await corte.source.read(place.path, LIMITS.image);
  const found = await digest(bytes);
  if (result.equal("La imagen es la del código de integridad.", code, found, "La imagen NO es la del código de integridad.")) {
    showImage(bytes, place, clave, result);
  }
  await checkImageProof(corte, place, code, keys, result);
};

let shownUrl = "";
const showImage = (bytes, place, clave, result) => {
  if (!PICTURES[place.extension] || !result.shown) return;
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(new Blob([bytes], {type: PICTURES[place.extension]}));
  const figure = make("figure");
  const image = make("img");
  image.alt = `Imagen del acta ${clave}, la que se acaba de comprobar`;
  image.onerror = () => figure.remove();
  image.src = shownUrl;
  figure.append(image, make("figcaption", `La imagen del acta ${clave}, con los mismos bytes que se comprobaron.`));
  result.shown.append(figure);
};

const checkImageProof = (corte, place, code, keys, result) => attempt(result, async () => {
  let bytes;
  try {
    bytes = await corte.source.read(proofPath(code), LIMITS.proof);
  } catch (problem) {
    if (!(problem instanceof Missing)) throw problem;
    if (await hasNoLog(corte.source, keys)) throw new Unable("Este sitio no publica una bitácora: si quien publica reescribiera todo, no se vería.");
    if (place.corte.number < corte.number) throw problem;
    throw new Unable("La prueba de la imagen todavía no está; vuelva a comprobar en unos segundos.");
  }
  await checkProof(bytes, {tipo: "imagen", sha256: code}, "la imagen", keys, result);
});

const checkCorteProof = (corte, keys, result) => attempt(result, async () => {
  let bytes;
  try {
    bytes = await corte.source.read(`${corte.folder}/SHA256SUMS.tlog-proof`, LIMITS.proof);
  } catch (problem) {
    if (!(problem instanceof Missing)) throw problem;
    if (await hasNoLog(corte.source, keys)) throw new Unable(`El corte ${corte.number} no tiene bitácora que lo respalde.`);
    throw new Unable(`La prueba del corte ${corte.number} todavía no está; vuelva a comprobar en unos segundos.`);
  }
  await checkProof(bytes, {tipo: "corte", sha256sums: corte.sumsDigest, corte: corte.number}, `el corte ${corte.number}`, keys, result);
});

/* Whoever brought a key says that there is a log; then its absence is wrong. */
const hasNoLog = async (source, keys) => {
  try {
    await source.read("bitacora/checkpoint", LIMITS.proof);
    return false;
  } catch (problem) {
    if (!(problem instanceof Missing) || keys.length) throw problem;
    return true;
  }
};

// --- the log -------------------------------------------------------------------------------------------------------

const readKey = async (text) => {
  const found = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/i.exec(text);
  const problem = "La llave no es de la forma «nombre+huella+base64».";
  if (!found) throw new Unable(problem);
  let raw;
  try { raw = fromBase64(found[3], "La llave"); } catch { throw new Unable(problem); }
  if (raw[0] !== 1 && raw[0] !== 4) throw new Unable(`La llave de ${found[1]} es de un tipo que aquí no se sabe comprobar.`);
  const id = (await sha256(join(utf8.encode(`${found[1]}\n`), raw))).slice(0, 4);
  if (raw.length !== 33 || hex(id) !== found[2].toLowerCase()) throw new Unable(`La llave de ${found[1]} está cortada o cambiada.`);
  return {name: found[1], id, kind: raw[0], raw: raw.slice(1)};
};

const readKeys = async (text) => {
  const keys = [];
  for (const line of text.split(/[\n\r]+/)) if (line.trim()) keys.push(await readKey(line.trim()));
  if (keys.length && !keys.some((key) => key.kind === 1)) throw new Unable("Falta la llave de la bitácora: solo hay llaves de testigos.");
  return keys;
};

const importKey = async (format, bytes) => {
  await sha256(new Uint8Array());
  try {
    return await crypto.subtle.importKey(format, bytes, {name: "Ed25519"}, false, ["verify"]);
  } catch (problem) {
    if (problem && problem.name === "DataError") throw new Unable("No se pudo comprobar: la llave no es una llave Ed25519.");
    throw new Unable("No se pudo comprobar la firma: su navegador no sabe verificar Ed25519. Use uno más reciente, u «integrity check-proof».");
  }
};
const signed = async (key, signature, message) => {
  if (signature.length !== 64) return false;
  return crypto.subtle.verify({name: "Ed25519"}, key, signature, message);
};

const decimal = (text, what) => {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) >= 1n << 63n) throw new Wrong(`${what} no es un número.`);
  return BigInt(text);
};
const hash = (text) => {
  const raw = fromBase64(text, "Un hash de la prueba");
  if (raw.length !== 32) throw new Wrong("Un hash de la prueba no tiene 32 bytes.");
  return raw;
};

const readCheckpoint = (text) => {
  const cut = text.lastIndexOf("\n\n");
  if (cut < 0 || !text.endsWith("\n")) throw new Wrong("La prueba no lleva un punto de control firmado.");
  const body = text.slice(0, cut + 1);
  const [origin, size, root, ...rest] = body.slice(0, -1).split("\n");
  if (root === undefined || [origin, ...rest].includes("")) throw new Wrong("La prueba no lleva un punto de control firmado.");
  const signatures = text.slice(cut + 2, -1).split("\n").map((line) => {
    const parts = line.split(" ");
    if (parts.length !== 3 || parts[0] !== "—" || !parts[1]) throw new Wrong("El punto de control tiene una firma mal formada.");
    const raw = fromBase64(parts[2], "Una firma");
    return {name: parts[1], id: raw.slice(0, 4), raw: raw.slice(4)};
  });
  if (signatures.length > 100) throw new Wrong("El punto de control tiene demasiadas firmas.");
  return {body, origin, size: decimal(size, "El tamaño de la bitácora"), root: hash(root), signatures};
};

const PROOF = "c2sp.org/tlog-proof@v1";
const readProof = (bytes) => {
  const text = textOf(bytes, "La prueba");
  const cut = text.indexOf("\n\n");
  const lines = text.slice(0, cut).split("\n");
  if (cut < 0 || lines.shift() !== PROOF) throw new Wrong(`La prueba no empieza con «${PROOF}».`);
  if (/[\u0000-\u0009\u000b-\u001f]/.test(text)) throw new Wrong("La prueba tiene caracteres de control.");
  let extra = null;
  if (lines.length && lines[0].startsWith("extra ")) extra = fromBase64(lines.shift().slice(6), "La hoja de la prueba");
  const at = lines.shift() || "";
  if (!at.startsWith("index ") || lines.length > 63) throw new Wrong("La prueba no dice en qué lugar de la bitácora está.");
  return {extra, index: decimal(at.slice(6), "El lugar en la bitácora"), hashes: lines.map(hash), checkpoint: readCheckpoint(text.slice(cut + 2))};
};

/* RFC 9162 §2.1.3.2. Throws Wrong unless the leaf hash is at `index` of the tree. */
const checkInclusion = async (index, size, leaf, hashes, root) => {
  if (index >= size) throw new Wrong(`No hay hoja ${index} en una bitácora de ${size}.`);
  const parent = (left, right) => sha256(join(new Uint8Array([1]), left, right));
  let at = index, last = size - 1n, found = leaf;
  for (const each of hashes) {
    if (last === 0n) throw new Wrong("La prueba tiene hashes de más.");
    if (at & 1n || at === last) {
      found = await parent(each, found);
      while (at && !(at & 1n)) { at >>= 1n; last >>= 1n; }
    } else {
      found = await parent(found, each);
    }
    at >>= 1n;
    last >>= 1n;
  }
  if (last) throw new Wrong("A la prueba le faltan hashes.");
  if (!same(found, root)) throw new Wrong("La prueba no lleva a la raíz que se firmó.", [["Se esperaba", hex(root)], ["Se encontró", hex(found)]]);
};

/* One proof: what its leaf says, its place under the signed root, and who signed that. */
const checkProof = async (bytes, expected, what, keys, result) => {
  const proof = readProof(bytes);
  if (!proof.extra) throw new Unable("La prueba no trae su hoja: use «integrity check-proof».");
  const leaf = readJson(proof.extra, "La hoja de la prueba", "");
  if (expected) {
    for (const [name, value] of Object.entries(expected)) {
      if (leaf[name] !== value) {
        throw new Wrong(`La prueba no habla ${of(what)}.`, [["Se esperaba", String(value)], ["Se encontró", String(leaf[name])]]);
      }
    }
  }
  if (!Number.isSafeInteger(leaf.numero) || BigInt(leaf.numero) !== proof.index) throw new Wrong("La hoja no dice su propio lugar en la bitácora.");
  const {origin, size, root} = proof.checkpoint;
  await checkInclusion(proof.index, size, await sha256(join(new Uint8Array([0]), proof.extra)), proof.hashes, root);
  result.good(`La huella ${of(what)} está en la bitácora, en la hoja ${proof.index} de ${size}.`, [["Raíz recalculada", hex(root)]]);
  await attempt(result, () => checkSignatures(proof.checkpoint, origin, keys, result));
  return leaf;
};

const checkSignatures = async (checkpoint, origin, keys, result) => {
  if (!keys.length) throw new Unable("No se comprobó quién firmó la bitácora: falta su llave.");
  const message = utf8.encode(checkpoint.body);
  let log = false;
  for (const key of keys) {
    const mine = checkpoint.signatures.filter((each) => each.name === key.name && same(each.id, key.id));
    const imported = mine.length ? await importKey("raw", key.raw) : null;
    for (const each of mine) {
      const good = key.kind === 1 ? await signed(imported, each.raw, message) : await cosigned(imported, each.raw, checkpoint.body);
      if (!good) throw new Wrong(`La firma de ${key.name} no es válida.`);
    }
    if (key.kind === 1 && mine.length) {
      log = true;
      if (origin !== key.name) throw new Wrong("El punto de control es de otra bitácora.", [["Se esperaba", key.name], ["Se encontró", origin]]);
      result.good(`La bitácora ${key.name} firmó esa raíz.`, [["Llave", `${key.name}+${hex(key.id)}`]]);
    } else if (key.kind === 4) {
      if (mine.length) result.good(`El testigo ${key.name} también la firmó.`);
      else result.unable(`El testigo ${key.name} no ha firmado esta raíz.`);
    }
  }
  if (!log) {
    const found = checkpoint.signatures.map((each) => `${each.name}+${hex(each.id)}`).join(", ");
    throw new Wrong("La bitácora no está firmada con la llave que usted dio.", [["Firmas que hay", found]]);
  }
};

const cosigned = async (key, raw, body) => {
  if (raw.length !== 72) return false;
  const at = new DataView(raw.buffer, raw.byteOffset, 8).getBigUint64(0);
  return signed(key, raw.slice(8), utf8.encode(`cosignature/v1\ntime ${at}\n${body}`));
};

// --- one file ------------------------------------------------------------------------------------------------------

const checkFiles = async (files, code, result) => {
  if (code) {
    if (files.length > 1) throw new Unable("El código es de un solo archivo: elija uno.");
    const found = await digest(await readFile(files[0], LIMITS.file));
    result.equal(`${files[0].name} es exactamente el archivo de ese código.`, code, found, `${files[0].name} NO es el archivo de ese código.`);
    return;
  }
  const list = files.find((file) => file.name === "SHA256SUMS");
  const others = files.filter((file) => file !== list);
  if (list && !others.length) throw new Unable("Elija también los archivos que quiere comparar con SHA256SUMS.");
  let corte = null;
  if (!list) corte = await lastCorte(site, result);
  const sums = list ? readSums(await readFile(list, LIMITS.sums), "SHA256SUMS") : corte.sums;
  for (const file of others) await attempt(result, () => checkFile(file, sums, corte, result));
};

const checkFile = async (file, sums, corte, result) => {
  const found = await digest(await readFile(file, LIMITS.file));
  const where = corte ? `el corte ${corte.number}` : "la lista";
  const expected = sums.get(file.name);
  if (expected) {
    result.equal(`${file.name} es el que lista ${corte ? where : "SHA256SUMS"}.`, expected, found, `${file.name} NO es el que lista ${corte ? where : "SHA256SUMS"}.`);
    return;
  }
  const [named] = [...sums].find(([, each]) => each === found) || [];
  if (named) { result.good(`${file.name} es ${named}, de ${where}.`, [["Huella", found]]); return; }
  if (corte) {
    const zip = corte.manifest.zip || {};
    const zipName = String(zip.archivo).split("/").pop();
    if (zip.sha256 === found) { result.good(`${file.name} es el ZIP de ${where}.`, [["Huella", found]]); return; }
    if (zipName === file.name) { result.equal("", String(zip.sha256), found, `${file.name} NO es el ZIP de ${where}.`); return; }
    const image = await findImage(corte, found, "", result);
    if (image) {
      result.good(`${file.name} es una imagen publicada en el corte ${image.corte.number}.`, [["Acta", image.clave === "-" ? "fuera de catálogo" : image.clave], ["Huella", found]]);
      return;
    }
  }
  result.bad(corte ? `${file.name} no está entre las imágenes publicadas ni en el último corte.` : `${file.name} no está en la lista.`, [["Huella", found]]);
};

// --- a receipt or a proof ------------------------------------------------------------------------------------------

const checkPapers = async (files, keys, pem, result) => {
  let proof = null, receipt = null;
  const others = [];
  for (const file of files) {
    const bytes = await readFile(file, LIMITS.file);
    if (same(bytes.slice(0, PROOF.length), utf8.encode(PROOF))) proof = bytes;
    else if (/^\{\s*"(acuse|firma)"/.test(new TextDecoder().decode(bytes.slice(0, 64)))) receipt = bytes;
    else others.push({name: file.name, bytes});
  }
  if (!proof && !receipt) throw new Unable("Entre los archivos no hay un acuse ni una prueba (.tlog-proof).");
  if (others.length > 1) throw new Unable("Además del acuse o la prueba, elija un solo archivo.");
  let promised = null;
  if (receipt && !await attempt(result, async () => { promised = await checkReceipt(receipt, pem, result); })) return;
  const [other] = others;
  const held = other ? await digest(other.bytes) : null;
  if (promised && held) result.equal(`${other.name} es el archivo del acuse.`, promised, held, `${other.name} NO es el archivo del acuse.`);
  if (!proof) {
    try {
      proof = await site.read(proofPath(promised), LIMITS.proof);
    } catch (problem) {
      if (problem instanceof Missing) throw new Wrong("Este sitio no tiene la prueba que el acuse promete. Si el acuse es de hace menos de un minuto, vuelva a comprobar.", [["Debe estar en", proofPath(promised)]]);
      throw problem;
    }
  }
  await attempt(result, async () => {
    const leaf = await checkProof(proof, promised && {tipo: "imagen", sha256: promised}, promised ? "la imagen del acuse" : "lo que la prueba trae", keys, result);
    const said = leaf.tipo === "corte" ? leaf.sha256sums : leaf.sha256;
    if (!HEX.test(said)) { result.unable(`La prueba habla de una hoja «${leaf.tipo}», que no es de un archivo.`); return; }
    const what = leaf.tipo === "corte" ? `el SHA256SUMS del corte ${leaf.corte}` : "una imagen";
    if (held) result.equal(`${other.name} es ${what}, de la que habla la prueba.`, said, held, `${other.name} NO es ${what} de la que habla la prueba.`);
    else if (!promised) result.unable(`La prueba habla de ${what}; elija también ese archivo para compararlo.`, [["Huella", said]]);
  });
};

const checkReceipt = async (bytes, pem, result) => {
  const whole = (() => { try { return JSON.parse(textOf(bytes, "El acuse")); } catch { throw new Wrong("El acuse no es JSON."); } })();
  const acuse = whole && whole.acuse;
  if (!acuse || typeof acuse !== "object" || !HEX.test(acuse.sha256) || typeof whole.firma !== "string") throw new Wrong("El acuse no tiene la forma de un acuse.");
  if (acuse.prueba !== proofPath(acuse.sha256)) throw new Wrong("El acuse promete su prueba en una dirección que no es la de su imagen.");
  await attempt(result, async () => {
    const said = `El acuse promete la imagen recibida el ${String(acuse.recibido)}`;
    if (!pem) throw new Unable(`${said}; su firma no se comprobó, porque falta la llave de los acuses.`);
    const body = pem.replace(/-----[A-Z ]+-----/g, "").replace(/\s+/g, "");
    let raw;
    try { raw = fromBase64(body, "La llave"); } catch { throw new Unable("La llave de los acuses no es PEM."); }
    const good = await signed(await importKey("spki", raw), fromBase64(whole.firma, "La firma del acuse"), utf8.encode(canonical(acuse)));
    if (!good) throw new Wrong("La firma del acuse no es válida.");
    result.good(`${said}, y su firma es válida.`, [["Huella", acuse.sha256]]);
  });
  return acuse.sha256;
};

// --- the page ------------------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

const onSubmit = (form, place, work) => {
  let busy = false;
  const button = $(form).querySelector("button");
  const run = async () => {
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    const result = new Result($(place));
    result.tell("Comprobando…");
    try {
      const done = await attempt(result, () => work(result));
      if (done || result.list.childElementCount) result.end();
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  };
  $(form).addEventListener("submit", (event) => { event.preventDefault(); run(); });
  return run;
};

const askedFor = (text, fragment) => {
  const code = readCode(text);
  const clave = code ? null : readClave(text);
  if (!text.trim()) throw new Unable("Escriba la clave del acta o su código de integridad.");
  if (!code && !clave) throw new Unable("Eso no es una clave de acta ni un código de integridad: una clave empieza con dos cifras; un código tiene 64 caracteres, del 0 al 9 y de la a a la f.");
  // What the page of the acta said holds for as long as it is still that acta that is asked for.
  return clave && fragment.clave === clave ? fragment : {clave, code, election: null};
};

let fragment = {};
const runActa = onSubmit("f-acta", "r-acta", async (result) => {
  const asked = askedFor($("acta").value, fragment);
  const keys = await readKeys($("acta-llave").value);
  const copy = $("carpeta").files;
  await checkActa(copy.length ? copyOf(copy) : site, asked, keys, result);
});

onSubmit("f-archivo", "r-archivo", async (result) => {
  const files = [...$("archivos").files];
  const text = $("codigo").value;
  if (!files.length) throw new Unable("Elija un archivo.");
  const code = text.trim() ? readCode(text) : null;
  if (text.trim() && !code) throw new Unable("El código no se puede leer: debe tener 64 caracteres, del 0 al 9 y de la a a la f.");
  await checkFiles(files, code, result);
});

onSubmit("f-prueba", "r-prueba", async (result) => {
  const files = [...$("pruebas").files];
  if (!files.length) throw new Unable("Elija el acuse o la prueba.");
  await checkPapers(files, await readKeys($("prueba-llave").value), $("acuse-llave").value.trim(), result);
});

for (const zone of document.querySelectorAll(".drop")) {
  const input = zone.querySelector("input");
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
}

/* From the page of an acta: #acta=CLAVE&eleccion=GOB&codigo=… */
const fromFragment = () => {
  const told = new URLSearchParams(location.hash.slice(1));
  const clave = readClave(told.get("acta") || "");
  const code = readCode(told.get("codigo") || "");
  if (!clave && !code) return;
  fragment = {clave, code, election: told.get("eleccion") || null};
  $("acta").value = clave || code;
  runActa();
};
addEventListener("hashchange", fromFragment);
fromFragment();
})();
