// The texts of the screens. The source is Spanish: t("Inicie sesión"). texts/LANGUAGE/ holds the other languages.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDERS = ["shared", "terminal", "desk", "catd", "phone"];

// Every Spanish text that a screen can show: the first argument of t(), and of mark(), which names a text for later.
export function textsOf(here) {
  const found = new Set();
  for (const folder of FOLDERS.filter((each) => existsSync(join(here, each)))) {
    for (const entry of readdirSync(join(here, folder), { recursive: true })) {
      if (!/\.tsx?$/.test(entry)) continue;
      const source = readFileSync(join(here, folder, entry), "utf8");
      for (const [, text] of source.matchAll(/\b(?:t|mark)\(\s*("(?:[^"\\]|\\.)*")/g)) found.add(JSON.parse(text));
    }
  }
  return found;
}

// A gettext catalogue: msgid and msgstr, each in one or more quoted lines; comments are skipped.
export function readPo(text) {
  const texts = new Map();
  let id = null;
  let into = null;
  let said = "";
  const keep = () => {
    if (id) texts.set(id, said);
    id = null;
    said = "";
  };
  for (const line of text.split("\n")) {
    const start = line.match(/^(msgid|msgstr)\s+(".*")\s*$/);
    const more = line.match(/^(".*")\s*$/);
    if (start?.[1] === "msgid") {
      keep();
      into = "id";
      id = JSON.parse(start[2]);
    } else if (start) {
      into = "said";
      said = JSON.parse(start[2]);
    } else if (more && into === "id") id += JSON.parse(more[1]);
    else if (more && into === "said") said += JSON.parse(more[1]);
    else if (line.trim() && !line.startsWith("#")) throw new Error(`a line that is not of a .po file: ${line}`);
  }
  keep();
  return texts;
}

// The catalogues by language: texts/LANGUAGE/*.po, one file for each folder of the source.
export function catalogues(here) {
  const used = textsOf(here);
  return readdirSync(join(here, "texts"))
    .sort()
    .map((language) => {
      const texts = new Map();
      for (const file of readdirSync(join(here, "texts", language)).sort()) {
        for (const [id, said] of readPo(readFileSync(join(here, "texts", language, file), "utf8"))) texts.set(id, said);
      }
      const named = (ids) => ids.map((each) => JSON.stringify(each)).join(", ");
      const missing = [...used].filter((text) => !texts.get(text));
      const unused = [...texts.keys()].filter((text) => !used.has(text));
      if (missing.length) throw new Error(`texts/${language} does not translate ${named(missing)}`);
      if (unused.length) throw new Error(`texts/${language} translates what no screen says: ${named(unused)}`);
      return [language, Object.fromEntries([...texts].sort(([one], [other]) => (one < other ? -1 : 1)))];
    });
}
