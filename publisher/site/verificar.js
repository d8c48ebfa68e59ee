/* verificar.html: checks one acta, one file or one proof in the browser. */
import {
  attempt, BAD, canonical, checkProof, digest, folderOf, fromBase64, HEX, imagePath, importKey, LIMITS, make,
  Missing, moment, NAME, pairList, PROOF, proofPath, readJson, readKeys, readSums, Result, same, sha256, signed,
  siteAt, textOf, Unable, utf8, Wrong,
} from "./comprobacion.js";

const PICTURES = {jpg: "image/jpeg", png: "image/png", webp: "image/webp"};
const MOST_CORTES = 5000;

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

// --- where files come from -----------------------------------------------------------------------------------------

const readFile = async (file, limit) => {
  if (file.size > limit) throw new Unable(`${file.name} tiene ${file.size} bytes; aquí se admiten ${limit}.`);
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Unable(`No se pudo leer ${file.name}.`);
  }
};

const site = siteAt(document.baseURI);

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

// HTML knows no attribute for this, but every browser has the property.
$("carpeta").webkitdirectory = true;

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
