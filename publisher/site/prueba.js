/* The button on the page of an acta: its image, and the list of files of its corte, are in the log that was signed. It says
   what it compared, and whose key it used: the one that this site gives, which proves less than one from elsewhere. */
import {
  attempt, checkProof, digest, folderOf, HEX, imagePath, LIMITS, make, Missing, proofPath, readKeys, readProof, Result,
  sha256, siteAt, textOf, Unable, utf8, Wrong,
} from "./comprobacion.js";

const MOST_ROTATIONS = 1000;

/* The keys of the published policy: the log's, and those of its witnesses. */
const keysOf = async (site) => {
  let text;
  try {
    text = textOf(await site.read("bitacora/politica.txt", LIMITS.proof), "bitacora/politica.txt");
  } catch (problem) {
    if (problem instanceof Missing) throw new Unable("Este sitio no publica una bitácora: si quien publica reescribiera todo, no se vería.");
    throw problem;
  }
  const told = text.split("\n").map((line) => /^(?:log|witness \S+) (\S+)/.exec(line)).filter(Boolean);
  if (!told.length) throw new Wrong("bitacora/politica.txt no nombra ninguna llave.");
  return readKeys(told.map((found) => found[1]).join("\n"));
};

const signs = (checkpoint, key) => checkpoint.signatures.some((each) => each.name === key.name && each.id.every((byte, at) => byte === key.id[at]));

/* The keys that signed this proof. A log may change its key: each change is a leaf that the key before signed. */
const signersOf = async (site, proof, keys) => {
  const {checkpoint} = readProof(proof);
  const silent = {good: () => true, bad: () => false, unable: () => false};
  for (let turn = 1; turn <= MOST_ROTATIONS && !keys.some((key) => key.kind === 1 && signs(checkpoint, key)); turn += 1) {
    let bytes;
    try {
      bytes = await site.read(`bitacora/rotaciones/${String(turn).padStart(4, "0")}.tlog-proof`, LIMITS.proof);
    } catch (problem) {
      if (problem instanceof Missing) break;
      throw problem;
    }
    let followed = 0;
    const counted = {...silent, good: () => { followed += 1; return true; }};
    const hands = keys.filter((key) => key.kind === 1 && signs(readProof(bytes).checkpoint, key));
    const leaf = await checkProof(bytes, {tipo: "rotacion", de: "bitacora"}, "el cambio de llave", hands, counted);
    if (followed < 2 || !HEX.test(leaf.clave)) break; // its place and a signature of a key that was in hand
    const raw = Uint8Array.from(leaf.clave.match(/../g), (byte) => parseInt(byte, 16));
    const id = (await sha256(new Uint8Array([...utf8.encode(`${leaf.nombre}\n`), 1, ...raw]))).slice(0, 4);
    keys.push({name: leaf.nombre, id, kind: 1, raw});
  }
  const there = keys.filter((key) => signs(checkpoint, key));
  return there.some((key) => key.kind === 1) ? there : keys.filter((key) => key.kind === 1); // then none of them signed
};

const checkPaper = async (site, path, expected, what, keys, late, result) => {
  let bytes;
  try {
    bytes = await site.read(path, LIMITS.proof);
  } catch (problem) {
    if (late && problem instanceof Missing) throw new Unable(late);
    throw problem;
  }
  await checkProof(bytes, expected, what, await signersOf(site, bytes, keys), result);
};

const check = async (site, root, result) => {
  const main = document.querySelector("main");
  const code = main.querySelector('data[data-de$=":CODIGO_INTEGRIDAD"]')?.textContent ?? "";
  const shown = main.querySelector("figure a")?.href ?? "";
  const corte = Number(document.documentElement.dataset.corte);
  let keys = null;
  if (code) {
    await attempt(result, async () => {
      const path = shown.slice(root.href.length);
      if (!HEX.test(code) || path !== imagePath(code, path.split(".").pop())) throw new Wrong("La página no muestra la imagen de su código de integridad.");
      result.equal("La imagen que abre esta página es la de su código de integridad.", code, await digest(await site.read(path, LIMITS.image)), "La imagen que abre esta página NO es la de su código de integridad.");
    });
  }
  if (!await attempt(result, async () => { keys = await keysOf(site); })) return;
  if (code) await attempt(result, () => checkPaper(site, proofPath(code), {tipo: "imagen", sha256: code}, "la imagen", keys, "", result));
  await attempt(result, async () => {
    const folder = folderOf(corte);
    const sha256sums = await digest(await site.read(`${folder}/SHA256SUMS`, LIMITS.sums));
    const late = `La prueba del corte ${corte} todavía no está; vuelva a comprobar en unos segundos.`;
    await checkPaper(site, `${folder}/SHA256SUMS.tlog-proof`, {tipo: "corte", corte, sha256sums}, `la lista de archivos del corte ${corte} (el que trae esta acta)`, keys, late, result);
  });
};

let busy = false;
/* Checks the acta of this page, and says what it found under the button. */
export const prove = async (place, root) => {
  if (busy) return;
  busy = true;
  const button = place.querySelector("button");
  button.setAttribute("aria-disabled", "true");
  place.querySelector(".result")?.remove();
  const box = make("div", "", "result");
  const verdict = make("p", "", "verdict");
  verdict.setAttribute("role", "status");
  box.append(verdict, make("ol", "", "steps"));
  place.append(box);
  const result = new Result(box);
  result.tell("Comprobando…");
  try {
    await attempt(result, () => check(siteAt(root), root, result));
    result.end();
    box.append(make("p", "Las llaves son las que da este mismo sitio: compárelas con las que tenga de un partido, una universidad o el periódico oficial.", "note"));
  } finally {
    busy = false;
    button.removeAttribute("aria-disabled");
  }
};
