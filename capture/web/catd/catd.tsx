// The CATD: files of a scanner are dropped here and sent as a telephone sends its photographs; and the actas of the site.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Action, ActionDialog } from "../desk/action";
import { REASONS } from "../desk/words";
import { Enrol } from "../phone/enrol";
import { actaInWords, casillaInWords, identityIn, oneIdentity } from "../phone/identity";
import { readQr } from "../phone/qr";
import { Sender } from "../phone/send";
import { momentWithOffset, sha256 } from "../phone/signed";
import { type Enrolment, enrolment, isFull, keepPicture, type Picture, pictures, update } from "../phone/store";
import { Refusal, serverNow } from "../shared/api";
import type { Ask } from "../shared/find_acta";
import { Gate, useSession } from "../shared/gate";
import type { ActaOfSite, RowToImport, SiteBoard } from "../shared/openapi";
import { Bar, sentenceOf } from "../shared/session";
import { age, clockTime, mark, t } from "../shared/texts";
import { holdsCaptures, importing, importRows, type ReadFile, readFile } from "./imports";
import { unpack } from "./unpack";

const LOOK_SECONDS = 15;
const SEES_ITS_SITE = ["operador_catd", "digitalizador", "supervisor", "administrador", "auditor"];
const SHIFT = ["operador_catd", "supervisor"];
const STATES = ["falta", "llego", "sin_acta", "por_identificar", "ilegible", "fuera"] as const;
const NAMES: Record<string, string> = {
  falta: mark("falta"),
  llego: mark("llegó"),
  sin_acta: mark("sin acta"),
  por_identificar: mark("por identificar"),
  ilegible: mark("ilegible"),
  fuera: mark("fuera de catálogo"),
};
const ACOPIO = "prep.acopio";

export function Catd() {
  const session = useSession();
  const { person, trouble, ask } = session;
  const [device, setDevice] = useState<Enrolment | null>(null);
  useEffect(() => void enrolment().then((found) => setDevice(found ?? null), () => undefined), []);
  return (
    <Gate session={session} title="CATD">
      {person && (
        <>
          <Bar title="CATD" person={person} onLogout={() => location.reload()}>
            {trouble && <span role="status" class="warn">{trouble}</span>}
          </Bar>
          <main class="catd">
            {device ? (
              <Files device={device} ask={ask} user={person.usuario} />
            ) : (
              <Enrol
                title={t("Enviar desde esta computadora")}
                sentence={t("Inscriba esta computadora con el código que le muestra su supervisor. Vale una vez, por 15 minutos.")}
                button={t("Inscribir esta computadora")}
                onDone={setDevice}
              />
            )}
            {SEES_ITS_SITE.includes(person.rol) && <Board ask={ask} role={person.rol} />}
          </main>
        </>
      )}
    </Gate>
  );
}

/** Files that are dropped or chosen, and how far each has come. */
function Files({ device, ask, user }: { device: Enrolment; ask: Ask; user: string }) {
  const [all, setAll] = useState<Picture[]>([]);
  const [said, setSaid] = useState<string[]>([]);
  const [busy, setBusy] = useState(0);
  const [over, setOver] = useState(false);
  const [asked, setAsked] = useState<ReadFile[]>([]);
  const [progress, setProgress] = useState<{ done: number; of: number } | null>(null);
  const [imported, setImported] = useState("");
  const sender = useRef<Sender>(null);
  const reload = useCallback(async () => setAll(await pictures()), []);
  useEffect(() => {
    void finishKept().then(reload);
    const running = new Sender(device, { changed: () => void reload(), progress: () => undefined });
    sender.current = running;
    void running.run();
    addEventListener("online", running.hurry);
    return () => {
      running.stop();
      removeEventListener("online", running.hurry);
    };
  }, [device]);

  async function take(files: Iterable<File>): Promise<void> {
    const listed = [...files];
    const notes: string[] = [];
    setSaid([]);
    setBusy(listed.length);
    for (const file of listed) {
      try {
        if (await holdsCaptures(file)) {
          const read = await readFile(file, ask);
          setAsked((before) => [...before, read]);
        } else {
          const note = /\.zip$/i.test(file.name) ? await carry(file) : await keep(file);
          if (note) notes.push(`${file.name}: ${note}`);
        }
      } catch (error) {
        notes.push(`${file.name}: ${error instanceof Refusal ? error.message : whyNot(error)}`);
      }
      setBusy((before) => before - 1);
      sender.current?.hurry();
      await reload();
    }
    setSaid(notes);
  }

  async function run(file: ReadFile, rows: RowToImport[]): Promise<void> {
    setImported("");
    setSaid([]);
    setProgress({ done: 0, of: rows.length });
    const told = (done: number): void => setProgress({ done, of: rows.length });
    let refused: string[];
    try {
      refused = await importRows(file, rows, { ask, hurry: () => sender.current?.hurry(), told });
      setImported(
        t("Importadas de {a}: {n} de {m}. Falta que otra persona capture cada una.", { n: rows.length - refused.length, m: rows.length, a: file.name }),
      );
    } catch (error) {
      refused = [`${file.name}: ${whyNot(error)}`];
    }
    setProgress(null);
    setSaid(refused);
    await reload();
  }

  const waiting = all.filter((each) => each.mark === "guardada" || each.mark === "enviada").length;
  return (
    <section class="files" aria-labelledby="archivos">
      <h2 id="archivos">{t("Enviar")}</h2>
      <label
        class={over ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer?.files ?? []);
        }}
      >
        <input
          class="visually-hidden"
          type="file"
          multiple
          accept="image/*,application/pdf,.zip,.xlsx,.ods,.xls,.csv,.tsv,.txt"
          onChange={({ currentTarget }) => void take(currentTarget.files ?? []).then(() => (currentTarget.value = ""))}
        />
        {busy > 0 ? t("Guardando: faltan {n}…", { n: busy }) : t("Suelte aquí las imágenes del escáner, el paquete de un teléfono, o una hoja con actas sin imagen")}
        <span class="soft">{t("o toque para elegirlos")}</span>
      </label>
      <Acopio device={device} />
      {said.length > 0 && <ul class="notice" role="alert">{said.map((each) => <li key={each}>{each}</li>)}</ul>}
      {progress && <p role="status">{t("Importando: {n} de {m}. No cierre la página; si se cierra, suelte otra vez el mismo archivo.", { n: progress.done, m: progress.of })}</p>}
      {imported && <p class="good" role="status">{imported}</p>}
      <p role="status">
        <strong>{all.filter((each) => each.mark === "acuse").length}</strong> {t("con acuse")} · <strong>{waiting}</strong> {t("por enviar")} ·{" "}
        <strong>{all.filter((each) => each.mark === "rechazada").length}</strong> {t("no se aceptaron")}
      </p>
      <ul class="sent">
        {[...all].reverse().slice(0, 200).map((each) => (
          <li key={each.id} class={each.mark}>
            <span class="name">{each.file || t("foto")}</span>
            <span>{each.acta ? actaInWords(device.casillas, each.acta) : t("sin QR legible")}</span>
            <b>{each.mark === "rechazada" ? t("no se aceptó") : t(each.mark)}</b>
            {each.said && each.mark !== "acuse" && <span class={each.mark === "rechazada" ? "bad" : "soft"}>{t(each.said)}</span>}
          </li>
        ))}
      </ul>
      {asked[0] && !progress && (
        <ActionDialog
          key={asked[0].source}
          action={importing(asked[0], user, (rows) => void run(asked[0]!, rows))}
          onClose={() => setAsked((before) => before.slice(1))}
        />
      )}
    </section>
  );
}

const whyNot = (error: unknown): string => (isFull(error) ? t("no cabe: esta computadora está llena") : t("no se pudo leer el archivo"));

/** One file of a scanner: kept whole before somebody looks at it. A sentence if the person must know something. */
async function keep(file: File): Promise<string> {
  const content = await file.arrayBuffer();
  if (!content.byteLength) return t("el archivo está vacío");
  const digest = await sha256(content);
  const known = (await pictures()).find((each) => each.sha256 === digest);
  if (known && known.mark !== "rechazada") return t("es la misma imagen que {name}, byte por byte", { name: known.file ?? digest.slice(0, 8) });
  if (known) {
    await update(known.id!, { mark: "guardada", said: "" });
    return "";
  }
  const picture: Picture = {
    sha256: digest,
    bytes: content.byteLength,
    type: file.type,
    origin: "CATD",
    kind: "escaner",
    file: file.name,
    taken: momentWithOffset(new Date(file.lastModified)),
    mark: "guardada",
    confirmed: false,
    acta: "",
    read: null,
    advice: [],
  };
  const kept = await keepPicture(picture, content);
  const read = oneIdentity(await readQr(file));
  const taken = (read && acopios()[read]) || picture.taken;
  // A scanner's picture is not asked about one by one: the server reads its sticker, and people look if it has none.
  await update(kept.id!, { read, acta: read ?? "", taken, confirmed: true });
  return "";
}

/** Files that were kept when the page was closed, and not read any more: they are sent all the same. */
async function finishKept(): Promise<void> {
  for (const each of await pictures()) if (!each.confirmed && each.origin === "CATD") await update(each.id!, { confirmed: true });
}

/** The package of a telephone: each image goes as the telephone signed it. */
async function carry(file: File): Promise<string> {
  const packed = unpack(await file.arrayBuffer());
  if (!packed) return t("no es un paquete de PREP Casilla, o llegó incompleto");
  let safe = 0;
  const refused: string[] = [];
  for (const { name, content, headers } of packed) {
    if ((await sha256(content)) !== headers["X-PREP-SHA256"]) {
      refused.push(`${name}: ${t("no es la imagen que firmó el teléfono")}`);
      continue;
    }
    const answer = await fetch("/v1/images", { method: "POST", headers, body: content });
    if (answer.ok) safe += 1;
    else refused.push(`${name}: ${((await answer.json()) as { error: string }).error}`);
  }
  return [t("{n} de {m} imágenes con acuse", { n: safe, m: packed.length }), ...refused].join("; ");
}

const acopios = (): Record<string, string> => JSON.parse(localStorage.getItem(ACOPIO) ?? "{}") as Record<string, string>;

/** The moment at which a packet came: its sticker is scanned with a reader that types, and the clock says the rest. */
function Acopio({ device }: { device: Enrolment }) {
  const [said, setSaid] = useState("");
  function scanned(event: Event): void {
    event.preventDefault();
    const input = (event.currentTarget as HTMLFormElement).elements.namedItem("etiqueta") as HTMLInputElement;
    const identity = identityIn(input.value);
    input.value = "";
    input.focus();
    if (!identity) return setSaid(t("Eso no es la etiqueta de un acta."));
    const now = momentWithOffset(new Date());
    const before = acopios()[identity];
    if (!before) localStorage.setItem(ACOPIO, JSON.stringify({ ...acopios(), [identity]: now }));
    setSaid(t("Acopio de {acta}: {hora}", { acta: actaInWords(device.casillas, identity), hora: clockTime(before ?? now) }));
  }
  return (
    <form class="acopio" onSubmit={scanned}>
      <label for="etiqueta">{t("Al recibir un paquete, lea su etiqueta")}</label>
      <input id="etiqueta" name="etiqueta" autocomplete="off" maxLength={200} />
      <p role="status">{said}</p>
    </form>
  );
}

/** My casillas: the actas that came, those that are missing, and since when. */
function Board({ ask, role }: { ask: Ask; role: string }) {
  const [board, setBoard] = useState<SiteBoard | null>(null);
  const [shown, setShown] = useState<string>("");
  const [action, setAction] = useState<Action | null>(null);
  const [done, setDone] = useState<ComponentChildren>("");
  const [seen, setSeen] = useState(0);
  const [refused, setRefused] = useState("");
  useEffect(() => {
    let gone = false;
    const look = async (): Promise<void> => {
      try {
        const found = await ask("GET /v1/sites/own", undefined);
        if (!gone) setBoard(found);
      } catch (error) {
        setRefused(sentenceOf(error));
      }
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_SECONDS * 1000);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [seen]);
  if (!board) return <p role="status">{refused || t("Abriendo…")}</p>;
  const count = (state: string): number => [...board.actas, ...board.imagenes].filter((each) => each.estado === state).length;
  const rows = board.actas.filter((each) => !shown || each.estado === shown);
  const images = board.imagenes.filter((each) => !shown || each.estado === shown);
  return (
    <section class="board" aria-labelledby="casillas">
      <h2 id="casillas">{t("Mis casillas")}</h2>
      <p class="filters" role="group" aria-label={t("Mostrar")}>
        <button type="button" aria-pressed={!shown} onClick={() => setShown("")}>{t("todas")} {board.actas.length + board.imagenes.length}</button>
        {STATES.map((each) => (
          <button key={each} type="button" aria-pressed={shown === each} onClick={() => setShown(each)}>
            {t(NAMES[each]!)} {count(each)}
          </button>
        ))}
      </p>
      {done && <p class="good" role="status">{done}</p>}
      {board.actas.length === 0 ? (
        <p class="soft">{t("Ningún dispositivo de este sitio tiene casillas: se dan al inscribirlo.")}</p>
      ) : rows.length + images.length === 0 ? (
        <p class="soft">{t("Ninguna.")}</p>
      ) : rows.length === 0 ? null : (
        <table>
          <thead>
            <tr>
              <th scope="col">{t("Casilla")}</th>
              <th scope="col">{t("Acta")}</th>
              <th scope="col">{t("Estado")}</th>
              <th scope="col">{t("Hace")}</th>
              <th scope="col">{t("Acción")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((each) => (
              <tr key={`${each.eleccion} ${each.clave}`} class={each.estado}>
                <th scope="row">
                  {casillaInWords(each.seccion, each.tipo, each.numero, each.ext_contigua)}
                  {each.lugar && <span class="soft">{each.lugar}</span>}
                </th>
                <td>{each.titulo}</td>
                <td><b>{t(NAMES[each.estado]!)}</b>{each.pedida && <span class="warned"> {t("se pide otra imagen")}</span>}</td>
                <td>{each.desde ? age(serverNow() - Date.parse(each.desde)) : "—"}</td>
                <td>
                  {each.estado === "falta" && SHIFT.includes(role) && (
                    <button type="button" onClick={() => setAction(each.propuesta ? confirmation(each, ask) : proposal(each, ask))}>
                      {each.propuesta ? t("Confirmar sin acta…") : t("Sin acta…")}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {images.length > 0 && (
        <>
          <h3>{t("Imágenes sin acta")}</h3>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("Imagen")}</th>
                <th scope="col">{t("Dispositivo")}</th>
                <th scope="col">{t("Estado")}</th>
                <th scope="col">{t("Hace")}</th>
              </tr>
            </thead>
            <tbody>
              {images.map((each) => (
                <tr key={each.sha256} class={each.estado}>
                  <th scope="row"><code>{each.sha256.slice(0, 8)}</code></th>
                  <td>{each.dispositivo}</td>
                  <td>
                    <b>{t(NAMES[each.estado]!)}</b>
                    {each.pedida && <b class="warned"> · {t("se pide otra imagen")}</b>}
                  </td>
                  <td>{age(serverNow() - Date.parse(each.desde))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      {action && (
        <ActionDialog
          action={action}
          onClose={(told) => {
            setAction(null);
            setDone(told);
            setSeen((before) => before + 1);
          }}
        />
      )}
    </section>
  );
}

const named = (acta: ActaOfSite): string =>
  `${casillaInWords(acta.seccion, acta.tipo, acta.numero, acta.ext_contigua)}, ${acta.titulo}`;

function proposal(acta: ActaOfSite, ask: Ask): Action {
  return {
    title: t("Sin acta: {acta}", { acta: named(acta) }),
    sentence: t("Propone que el acta no llegará. Cuenta cuando otra persona lo confirma, y se puede deshacer hasta el cierre."),
    reasons: REASONS.sin_acta,
    words: "optional",
    button: t("Proponer"),
    run: async (motivo, texto) => {
      await ask("POST /v1/decisions", { tipo: "sin_acta", eleccion: acta.eleccion, clave: acta.clave, motivo, texto });
      return t("Propuesto. Falta que otra persona lo confirme.");
    },
  };
}

function confirmation(acta: ActaOfSite, ask: Ask): Action {
  return {
    title: t("Sin acta: {acta}", { acta: named(acta) }),
    sentence: t("Otra persona propuso que el acta no llegará. Si confirma, queda registrada sin acta y sale así en el corte siguiente."),
    words: "optional",
    button: t("Confirmar"),
    run: async (_, texto) => {
      await ask("POST /v1/decisions/{decision}/confirm", { texto }, { path: { decision: acta.propuesta! } });
      return t("Confirmado: el acta queda registrada sin acta.");
    },
  };
}
