// Actas of which no image can be had, from a file: what an import would do, and the import of its rows.
//
// The server reads the file, judges each row, and makes the page that goes in the place of the image (capture/imports.py).
// Here the page is kept, signed and sent as every picture; then the values follow as one person's capture. All of it may
// be done again: a row that was imported is answered in the same way.
import type { Action } from "../desk/action";
import { sha256, momentWithOffset } from "../phone/signed";
import { keepPicture, pictures, update } from "../phone/store";
import { Refusal } from "../shared/api";
import type { Ask } from "../shared/find_acta";
import { pause } from "../shared/gate";
import type { FileToImport, RowToImport } from "../shared/openapi";
import { t } from "../shared/texts";

const BOOK = /\.(xlsx|ods|xls|csv|tsv|tab)$/i;
const TEXT = /\.txt$/i;
const SHOWN = 200;

export interface ReadFile extends FileToImport {
  name: string;
  /** The SHA-256 of the file. */
  source: string;
}

/** Whether the file holds captures, and not a picture: by its name, and of a text by its first line. */
export async function holdsCaptures(file: File): Promise<boolean> {
  if (BOOK.test(file.name)) return true;
  return TEXT.test(file.name) && /clave_acta/i.test((await file.slice(0, 4096).text()).replaceAll("\0", ""));
}

export async function readFile(file: File, ask: Ask): Promise<ReadFile> {
  const bytes = await file.arrayBuffer();
  const read = await ask("POST /v1/imports/file", undefined, { bytes, seconds: 150 });
  return { ...read, name: file.name, source: await sha256(bytes) };
}

const canBeImported = (row: RowToImport): boolean => row.problemas.length === 0;

/** What the import would do, in words, before the person says yes. */
export function importing(file: ReadFile, user: string, go: (rows: RowToImport[]) => void): Action {
  const rows = file.renglones.filter(canBeImported);
  const wrong = file.renglones.filter((row) => !canBeImported(row));
  const does =
    rows.length === 0
      ? t("De este archivo no se puede importar ningún acta.")
      : t(
          "Actas que se importan: {n}, como captura de {u}, una sola persona. Cada una cuenta si otra persona, sin ver ésta, captura lo mismo; se publica marcada como «Constancia sin imagen».",
          { n: rows.length, u: user },
        );
  const left = wrong.length ? t("Renglones que no se importan: {m}. Corríjalos en el archivo y suéltelo otra vez.", { m: wrong.length }) : "";
  return {
    title: file.hoja ? t("Actas sin imagen: {a}, hoja {h}", { a: file.name, h: file.hoja }) : t("Actas sin imagen: {a}", { a: file.name }),
    sentence: `${does} ${left}`.trim(),
    body: <Problems file={file} wrong={wrong} />,
    ...(rows.length
      ? {
          button: t("Importar ({n})", { n: rows.length }),
          run: async () => {
            go(rows);
            return "";
          },
        }
      : {}),
  };
}

function Problems({ file, wrong }: { file: ReadFile; wrong: RowToImport[] }) {
  return (
    <>
      {file.avisos.map((each) => <p class="soft" key={each}>{each}</p>)}
      {wrong.length > 0 && (
        <div class="problems" tabIndex={0} role="region" aria-label={t("Renglones que no se importan")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("Renglón")}</th>
                <th scope="col">{t("Columna")}</th>
                <th scope="col">{t("Acta")}</th>
                <th scope="col">{t("Problema")}</th>
              </tr>
            </thead>
            <tbody>
              {wrong.slice(0, SHOWN).flatMap((row) =>
                row.problemas.map(({ columna, problema }, at) => (
                  <tr key={`${row.renglon} ${at}`}>
                    <td class="number">{row.renglon}</td>
                    <td>{columna || "—"}</td>
                    <td><code>{row.clave || "—"}</code></td>
                    <td>{problema}</td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
          {wrong.length > SHOWN && <p>{t("Renglones con problemas que no caben aquí: {n}", { n: wrong.length - SHOWN })}</p>}
        </div>
      )}
    </>
  );
}

interface Running {
  ask: Ask;
  /** A page was kept: it can be sent. */
  hurry: () => void;
  /** So many rows are done. */
  told: (done: number) => void;
}

/** Import these rows; a sentence for each that was refused. */
export async function importRows(file: ReadFile, rows: RowToImport[], { ask, hurry, told }: Running): Promise<string[]> {
  const refused: string[] = [];
  const kept: [RowToImport, string][] = [];
  const of = (row: RowToImport): string => t("{a}, renglón {r}", { a: file.name, r: row.renglon });
  const trying = async (row: RowToImport, doing: () => Promise<void>): Promise<void> => {
    try {
      await doing();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refused.push(`${of(row)}: ${error.message}`);
    }
  };
  for (const row of rows) {
    const { eleccion, clave, valores, renglon } = row;
    await trying(row, async () => {
      const acta = await ask("POST /v1/imports/check", { eleccion, clave, valores, archivo: file.source, renglon });
      kept.push([row, await keepPage(acta.constancia, acta.qr, of(row))]);
      hurry();
    });
  }
  for (const [row, imagen] of kept) {
    const { eleccion, clave, valores } = row;
    await trying(row, async () => {
      await receiptOf(imagen);
      await ask("POST /v1/imports", { eleccion, clave, valores, imagen });
    });
    told(rows.length - kept.length + kept.findIndex(([each]) => each === row) + 1);
  }
  return refused;
}

async function keepPage(base64: string, qr: string, name: string): Promise<string> {
  const content = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
  const digest = await sha256(content);
  const page = await keepPicture(
    {
      sha256: digest,
      bytes: content.byteLength,
      type: "application/pdf",
      origin: "CATD",
      kind: "escaner",
      document: "Constancia sin imagen",
      file: name,
      taken: momentWithOffset(new Date()),
      mark: "guardada",
      confirmed: true,
      acta: qr,
      read: qr,
      advice: [],
    },
    content.buffer,
  );
  if (page.mark === "rechazada") await update(page.id!, { mark: "guardada", said: "" });
  return digest;
}

/** Waits until the page has its receipt. Throws Refusal if the server does not take it. */
async function receiptOf(digest: string): Promise<void> {
  for (;;) {
    const page = (await pictures()).find((each) => each.sha256 === digest);
    if (page?.mark === "acuse") return;
    if (!page || page.mark === "rechazada") throw new Refusal(0, "", page?.said ?? "");
    await pause(300);
  }
}
