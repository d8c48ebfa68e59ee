/* What every check in a browser is made of: digests, proofs of the log, their signatures, and the words of a result. The one
   definition for verificar.html, which carries it inside, and for the pages, which load it when a reader asks. Whatever it
   reads was written by others: every text is shown by textContent, every read has a limit, and what could not be checked
   is never said to be good. */
const MB = 1 << 20;
export const LIMITS = {index: MB, sums: MB, json: 64 * MB, table: 512 * MB, image: 256 * MB, proof: MB, file: 2048 * MB};
export const HEX = /^[0-9a-f]{64}$/;
export const NAME = /^[^/\\\u0000-\u001f\u007f.][^/\\\u0000-\u001f\u007f]{0,254}$/;
export const utf8 = new TextEncoder();
export const GOOD = "good", BAD = "bad", UNABLE = "unable";
const MARKS = {[GOOD]: ["✓", "Bien: "], [BAD]: ["✗", "Mal: "], [UNABLE]: ["?", "Sin comprobar: "]};

/* Why something could not be had or read. `Missing` is told apart: of what must be there, it is wrong. */
export class Unable extends Error {}
export class Missing extends Unable {}
export class Wrong extends Error {
  constructor(sentence, pairs = []) { super(sentence); this.pairs = pairs; }
}

// --- what is shown -------------------------------------------------------------------------------------------------

export const make = (tag, text = "", kind = "") => {
  const node = document.createElement(tag);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
};

export const pairList = (pairs, kind) => {
  const list = make("dl", "", kind);
  for (const [name, value] of pairs) {
    const held = make("dd");
    held.append(/^[0-9a-f]{8,}$/.test(value) ? make("code", value) : String(value));
    list.append(make("dt", name), held);
  }
  return list;
};

export class Result {
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
export const attempt = async (result, step) => {
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

export const sha256 = async (bytes) => {
  if (!globalThis.crypto || !crypto.subtle) {
    throw new Unable("No se pudo comprobar: su navegador solo calcula huellas en direcciones https. Use https, o guarde esta página y ábrala desde su equipo.");
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
};
export const digest = async (bytes) => hex(await sha256(bytes));

const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
};
/* As the pages write it, where it is what a corte says. */
export const moment = (text) =>
  String(text).replace(
    /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d)\S*([+-])0?(\d{1,2}):(\d\d)$/,
    (_, year, month, day, hour, sign, hours, minutes) =>
      `${day}/${month}/${year} ${hour} (UTC${sign}${hours}${minutes === "00" ? "" : `:${minutes}`})`,
  );
const of = (what) => `de ${what}`.replace(/^de el /, "del ");
export const same = (left, right) => left.length === right.length && left.every((byte, at) => byte === right[at]);

export const textOf = (bytes, what) => {
  try {
    return new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch {
    throw new Wrong(`${what} no es texto UTF-8.`);
  }
};

/* The only form in which a base64 is taken: what decodes to the same bytes is not the same text. */
export const fromBase64 = (text, what) => {
  let raw = "";
  try { raw = atob(text); } catch { raw = ""; }
  if (!raw || btoa(raw) !== text) throw new Wrong(`${what} no es base64.`);
  return Uint8Array.from(raw, (char) => char.charCodeAt(0));
};

export const canonical = (value) => {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (Number.isSafeInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object") throw new Wrong("Un JSON tiene valores que no se admiten.");
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
};

/* Sorted keys, no spaces, none twice: otherwise two readers could read two things in the same bytes. */
export const readJson = (bytes, what, end = "\n") => {
  const text = textOf(bytes, what);
  let value;
  try { value = JSON.parse(text); } catch { throw new Wrong(`${what} no es JSON.`); }
  if (value === null || typeof value !== "object" || canonical(value) + end !== text) {
    throw new Wrong(`${what} no es JSON en su forma canónica.`);
  }
  return value;
};

export const readSums = (bytes, what) => {
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

export const imagePath = (sha, extension) => `imagenes/${sha.slice(0, 2)}/${sha}.${extension}`;
export const proofPath = (sha) => `bitacora/acuses/${sha.slice(0, 2)}/${sha}.tlog-proof`;
export const folderOf = (corte) => `cortes/${String(corte).padStart(4, "0")}`;

/* A published tree at this address. */
export const siteAt = (root) => ({
  async read(path, limit) {
    if (location.protocol === "file:") {
      throw new Unable("Esta página se abrió desde su equipo: elija los archivos, o la carpeta con la copia de lo publicado.");
    }
    let answer;
    try {
      answer = await fetch(new URL(path.split("/").map(encodeURIComponent).join("/"), root), {
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
});

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

export const readKeys = async (text) => {
  const keys = [];
  for (const line of text.split(/[\n\r]+/)) if (line.trim()) keys.push(await readKey(line.trim()));
  if (keys.length && !keys.some((key) => key.kind === 1)) throw new Unable("Falta la llave de la bitácora: solo hay llaves de testigos.");
  return keys;
};

export const importKey = async (format, bytes) => {
  await sha256(new Uint8Array());
  try {
    return await crypto.subtle.importKey(format, bytes, {name: "Ed25519"}, false, ["verify"]);
  } catch (problem) {
    if (problem && problem.name === "DataError") throw new Unable("No se pudo comprobar: la llave no es una llave Ed25519.");
    throw new Unable("No se pudo comprobar la firma: su navegador no sabe verificar Ed25519. Use uno más reciente, u «integrity check-proof».");
  }
};
export const signed = async (key, signature, message) => {
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

export const PROOF = "c2sp.org/tlog-proof@v1";
export const readProof = (bytes) => {
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
export const checkProof = async (bytes, expected, what, keys, result) => {
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
