// PREP Casilla: photographs of actas at the polling place, kept first, sent whenever there is a network.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { LanguageButton } from "../shared/session";
import { clockTime, mark, t } from "../shared/texts";
import { Camera, hasCamera } from "./camera";
import { Confirm } from "./confirm";
import { Enrol } from "./enrol";
import { actaInWords, actasOf, casillaInWords, oneIdentity } from "./identity";
import { ADVICE, adviceOn } from "./look";
import { download, packageOf, share } from "./pack";
import { readQr } from "./qr";
import { Sender } from "./send";
import { momentWithOffset, sha256 } from "./signed";
import { type Enrolment, enrolment, isFull, keepPicture, original, type Picture, pictures, update } from "./store";

const ASIDE = mark("Usted la apartó: no es un acta. No se envía.");

export function Phone() {
  const [device, setDevice] = useState<Enrolment | null | undefined>(undefined);
  const [said, setSaid] = useState("");
  useEffect(() => {
    enrolment().then(
      (found) => setDevice(found ?? null),
      () => setSaid(t("Este navegador no deja guardar fotos: quizá está en modo privado. Ábralo de otra forma.")),
    );
  }, []);
  if (said) return <main class="phone"><p class="notice" role="alert">{said}</p></main>;
  if (device === undefined) return null;
  if (device) return <Work device={device} />;
  return (
    <main class="phone enrol">
      <Enrol
        title="PREP Casilla"
        sentence={t("Inscriba este teléfono con el código que le muestra su supervisor. Vale una vez, por 15 minutos.")}
        button={t("Inscribir este teléfono")}
        onDone={setDevice}
      />
      <LanguageButton />
    </main>
  );
}

function Work({ device }: { device: Enrolment }) {
  const [all, setAll] = useState<Picture[]>([]);
  const [sent, setSent] = useState<Record<number, number>>({});
  const [busy, setBusy] = useState(false);
  const [rest, setRest] = useState<File | null>(null);
  const [said, setSaid] = useState("");
  const [online, setOnline] = useState(navigator.onLine);
  const [live, setLive] = useState(hasCamera());
  const [looking, setLooking] = useState(false);
  const camera = useRef<HTMLInputElement>(null);
  const sender = useRef<Sender>(null);
  const reload = useCallback(async () => setAll(await pictures()), []);

  useEffect(() => {
    void reload();
    const running = new Sender(device, {
      changed: () => void reload(),
      progress: (id, bytes) => setSent((before) => ({ ...before, [id]: bytes })),
    });
    sender.current = running;
    void running.run();
    navigator.serviceWorker?.ready.then((ready) => ready.active?.postMessage("all")).catch(() => undefined);
    const look = (): void => {
      setOnline(navigator.onLine);
      if (navigator.onLine && document.visibilityState === "visible") running.hurry();
    };
    for (const each of ["online", "offline"]) addEventListener(each, look);
    document.addEventListener("visibilitychange", look);
    return () => {
      running.stop();
      for (const each of ["online", "offline"]) removeEventListener(each, look);
      document.removeEventListener("visibilitychange", look);
    };
  }, [device]);

  /** What the live camera gave. Without one the phone's own camera application takes the photographs from now on. */
  function looked(photo: File | null, sentence = ""): void {
    setLooking(false);
    setSaid(sentence);
    if (sentence) setLive(false);
    if (photo) void take([photo]);
  }

  async function take(files: Iterable<File> | null): Promise<void> {
    setSaid("");
    for (const file of files ?? []) {
      setBusy(true);
      try {
        await keep(file);
        setRest(null);
      } catch (error) {
        setRest(file);
        setSaid(
          isFull(error)
            ? t("Este teléfono está lleno y la foto no cabe aquí. Guárdela en la galería, libere espacio y agréguela después.")
            : t("La foto no se pudo guardar aquí. Guárdela en la galería y agréguela después."),
        );
      }
      // The reading of the sticker comes before the question, which must not change under the finger.
      await reload();
      setBusy(false);
    }
    if (camera.current) camera.current.value = "";
  }

  /** First its bytes, whole and with their digest. Only then somebody looks at them. */
  async function keep(file: File): Promise<void> {
    const content = await file.arrayBuffer();
    const picture: Picture = {
      sha256: await sha256(content),
      bytes: content.byteLength,
      type: file.type,
      taken: momentWithOffset(new Date()),
      mark: "guardada",
      confirmed: false,
      acta: "",
      read: null,
      advice: [],
    };
    let kept = await keepPicture(picture, content);
    // Somebody brings it again on purpose.
    if (kept.mark === "rechazada") kept = await update(kept.id!, { mark: "guardada", confirmed: false, said: "" });
    await reload();
    const [texts, advice] = await Promise.all([readQr(file), adviceOn(file)]);
    const read = oneIdentity(texts);
    if (!kept.confirmed) {
      await update(kept.id!, { read, acta: read ?? "", advice: read ? advice : [ADVICE.unread, ...advice] });
    }
  }

  async function confirm(picture: Picture, acta: string | null): Promise<void> {
    const aside: Partial<Picture> = { mark: "rechazada", said: ASIDE };
    await update(picture.id!, { confirmed: true, ...(acta === null ? aside : { acta }) });
    await reload();
    sender.current?.hurry();
  }

  async function carry(): Promise<void> {
    const file = await packageOf(device);
    if (file) await share(file);
    await reload();
  }

  const asks = all.find((each) => !each.confirmed);
  const waiting = all.filter((each) => each.confirmed && (each.mark === "guardada" || each.mark === "enviada"));
  const safe = all.filter((each) => each.mark === "acuse").length;
  if (looking) return <Camera onDone={looked} />;
  if (asks && !busy) return <Confirm key={asks.id} device={device} picture={asks} onDone={(acta) => void confirm(asks, acta)} />;
  return (
    <main class="phone">
      <header class="top">
        <h1>PREP Casilla</h1>
        {device.simulacro && <span class="rehearsal">{t("SIMULACRO")}</span>}
        <span class={online ? "line good" : "line warn"} role="status">{online ? t("Con red") : t("Sin red")}</span>
      </header>

      {live && (
        <button class="take" type="button" disabled={busy} onClick={() => setLooking(true)}>
          <span class="sign" aria-hidden="true">◉</span>
          {busy ? t("Guardando la foto…") : t("Fotografiar un acta")}
        </button>
      )}
      <label class={live ? "other" : "take"} aria-disabled={busy}>
        <input
          ref={camera}
          class="visually-hidden"
          type="file"
          accept="image/*"
          capture="environment"
          disabled={busy}
          onChange={(event) => void take(event.currentTarget.files)}
        />
        {live ? (
          t("Usar la aplicación de cámara")
        ) : (
          <>
            <span class="sign" aria-hidden="true">◉</span>
            {busy ? t("Guardando la foto…") : t("Fotografiar un acta")}
          </>
        )}
      </label>
      <label class="other">
        <input class="visually-hidden" type="file" accept="image/*" multiple disabled={busy} onChange={(event) => void take(event.currentTarget.files)} />
        {t("Agregar una foto de la galería")}
      </label>
      {said && (
        <div class="notice" role="alert">
          <p>{said}</p>
          {rest && <button type="button" onClick={() => download(rest, rest.name || "acta.jpg")}>{t("Guardar en la galería")}</button>}
        </div>
      )}

      <p class="count" role="status">
        <strong>{safe}</strong> {t("con acuse")} · <strong>{waiting.length}</strong> {t("por enviar")}
      </p>
      {waiting.length > 0 && (
        <div class="carry">
          <button type="button" onClick={() => void carry()}>{t("Compartir sin red")}</button>
          <span class="soft">{t("Hace un paquete con lo que falta, para llevarlo al CATD.")}</span>
        </div>
      )}

      {all.length > 0 && (
        <section aria-labelledby="fotos">
          <h2 id="fotos">{t("Fotos")}</h2>
          <ul class="pictures">
            {[...all].reverse().map((each) => (
              <Row key={each.id} picture={each} device={device} sent={sent[each.id!] ?? 0} />
            ))}
          </ul>
        </section>
      )}

      {device.casillas.length > 0 && <MyCasillas device={device} all={all} />}
      <footer class="soft">
        <span>{device.dispositivo} · {device.sitio} · {device.servidor}</span>
        <LanguageButton />
      </footer>
    </main>
  );
}

/** A photograph: which acta it is, its three marks, and what happens with it. */
function Row({ picture, device, sent }: { picture: Picture; device: Enrolment; sent: number }) {
  const [source, setSource] = useState("");
  useEffect(() => {
    let address = "";
    let gone = false;
    void original(picture.sha256).then((content) => {
      if (!content || gone) return;
      address = URL.createObjectURL(new Blob([content], { type: picture.type }));
      setSource(address);
    });
    return () => {
      gone = true;
      URL.revokeObjectURL(address);
    };
  }, [picture.sha256]);
  const marks = [
    { name: t("guardada"), done: true },
    { name: t("enviada"), done: picture.mark === "enviada" || picture.mark === "acuse" },
    { name: t("acuse"), done: picture.mark === "acuse" },
  ];
  const title = picture.acta ? actaInWords(device.casillas, picture.acta) : t("acta por identificar");
  const moving = picture.mark === "guardada" && sent > 0 && sent < picture.bytes;
  return (
    <li class={`picture ${picture.mark}`}>
      {source ? <img src={source} alt="" loading="lazy" decoding="async" onError={() => setSource("")} /> : <span class="nothing" aria-hidden="true" />}
      <div>
        <p class="title">{title}</p>
        <p class="soft">{clockTime(picture.taken)}</p>
        {picture.mark === "rechazada" ? (
          <p class="bad">{picture.said === ASIDE ? t(ASIDE) : `${t("no se aceptó")}: ${t(picture.said ?? "")}`}</p>
        ) : (
          <>
            <ol class="marks">
              {marks.map(({ name, done }) => (
                <li class={done ? "done" : ""}>
                  <span aria-hidden="true">{done ? "✓" : "○"}</span> {name}
                  <span class="visually-hidden">{done ? "" : t("(todavía no)")}</span>
                </li>
              ))}
            </ol>
            {moving && <progress max={picture.bytes} value={sent} aria-label={t("Enviando")} />}
            {picture.mark !== "acuse" && picture.said && <p class="soft">{t(picture.said)}</p>}
          </>
        )}
      </div>
    </li>
  );
}

/** The actas that this phone is to bring, and how far each has come. */
function MyCasillas({ device, all }: { device: Enrolment; all: Picture[] }) {
  const best = new Map<string, Picture>();
  for (const each of all) {
    if (!each.acta || each.mark === "rechazada") continue;
    if (best.get(each.acta)?.mark !== "acuse") best.set(each.acta, each);
  }
  const total = actasOf(device.casillas).length;
  const done = actasOf(device.casillas).filter((each) => best.get(each.qr)?.mark === "acuse").length;
  return (
    <section aria-labelledby="mias">
      <h2 id="mias">{t("Mis casillas")} <span class="soft">{t("{n} de {m} actas con acuse", { n: done, m: total })}</span></h2>
      {device.casillas.map((casilla) => (
        <div class="casilla" key={casilla.clave}>
          <h3>{casillaInWords(casilla.seccion, casilla.tipo, casilla.numero, casilla.ext_contigua)}</h3>
          {casilla.lugar && <p class="soft">{casilla.lugar}</p>}
          <ul>
            {casilla.actas.map((acta) => {
              const state = best.get(acta.qr)?.mark;
              return (
                <li key={acta.qr}>
                  {acta.titulo}
                  <span class={state === "acuse" ? "state good" : state ? "state" : "state soft"}>
                    {state === "acuse" ? `✓ ${t("acuse")}` : state ? t(state) : t("falta")}
                  </span>
                </li>
              );
            })}
          </ul>
        </div>
      ))}
    </section>
  );
}
