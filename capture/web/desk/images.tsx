// An image as those in charge see it, and what may be said of it.
import { useEffect, useState } from "preact/hooks";
import { fetchImage } from "../shared/api";
import { type Ask, FindActa, type FoundActa } from "../shared/find_acta";
import type { DecisionBody } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { clockTime, t } from "../shared/texts";
import type { Action } from "./action";
import { effectOf, REASONS } from "./words";

/** Who may see any image, and who may say of one that it is of another acta (docs/roles.md; the server decides). */
export const SEES_IMAGES = ["supervisor", "cotejador", "auditor"];
export const LOOKS = ["digitalizador", "cotejador", "supervisor"];

type Loaded = { url: string } | { said: string } | null;

function useImage(sha256: string, wanted: boolean): Loaded {
  const [loaded, setLoaded] = useState<Loaded>(null);
  useEffect(() => {
    if (!wanted) return;
    let gone = false;
    let url = "";
    fetchImage(`/v1/images/${sha256}`).then(
      (blob) => {
        if (gone) return;
        url = URL.createObjectURL(blob);
        setLoaded({ url });
      },
      (error) => gone || setLoaded({ said: sentenceOf(error) }),
    );
    return () => {
      gone = true;
      setLoaded(null);
      if (url) URL.revokeObjectURL(url);
    };
  }, [sha256, wanted]);
  return loaded;
}

/** The image at once, for a person who decides about it; only its name for a role that does not see every image. */
export function Proof({ sha256, role }: { sha256: string; role: string }) {
  const sees = SEES_IMAGES.includes(role);
  const loaded = useImage(sha256, sees);
  const name = t("Imagen {i}", { i: sha256.slice(0, 12) });
  if (!sees) return <code>{sha256.slice(0, 12)}</code>;
  if (loaded === null) return <p role="status">{t("Cargando la imagen…")}</p>;
  if ("said" in loaded) return <p class="bad">{loaded.said}</p>;
  return (
    <a href={loaded.url} target="_blank" rel="noopener" title={t("Abrir sola")}>
      <img class="proof" src={loaded.url} alt={name} />
    </a>
  );
}

/** The image of a row, on demand: a list of a thousand images must not fetch them all. */
export function Shown({ sha256, role }: { sha256: string; role: string }) {
  const [open, setOpen] = useState(false);
  if (!SEES_IMAGES.includes(role)) return <code>{sha256.slice(0, 12)}</code>;
  return (
    <>
      <button type="button" class="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? t("Ocultar") : t("Ver {i}", { i: sha256.slice(0, 12) })}
      </button>
      {open && <Proof sha256={sha256} role={role} />}
    </>
  );
}

export async function propose(ask: Ask, body: DecisionBody): Promise<string> {
  const { decision } = await ask("POST /v1/decisions", body);
  return t("Propuesta {n}: falta que otra persona la confirme.", { n: decision });
}

const later = (effect: string): string => `${effect} ${t("Esto pasa cuando otra persona lo confirma.")}`;

/** An image goes to another acta; or to its first one, if it is `free`: fuera de catálogo, or not identified. */
export function assign(sha256: string, ask: Ask, role: string, { label = "", free = false } = {}): Action {
  let to: FoundActa | null = null;
  return {
    title: free ? t("Proponer: de qué acta es la imagen") : t("Proponer: la imagen es de otra acta"),
    sentence: later(effectOf(free ? "imagen_libre" : "imagen_de_otra_acta", sha256.slice(0, 12))),
    reasons: free ? ["identificada_despues", "otra"] : REASONS.imagen_de_otra_acta,
    words: "optional",
    button: t("Proponer"),
    body: (
      <>
        {label && <p class="soft">{t("Su etiqueta dice {e}.", { e: label })}</p>}
        <FindActa ask={ask} onFind={(found) => (to = found)} onDone={() => document.getElementById("motivo")?.focus()} />
      </>
    ),
    proof: <Proof sha256={sha256} role={role} />,
    missing: () => (to ? "" : t("Elija el acta que muestra la imagen.")),
    run: (motivo, texto) => propose(ask, { tipo: "imagen_de_otra_acta", imagen: sha256, identidad: to!.identidad, motivo, texto }),
  };
}

/** Two people looked at an image that is listed as fuera de catálogo: it stays there. */
export function staysOut(sha256: string, identidad: string, ask: Ask, role: string): Action {
  return {
    title: t("Proponer: queda fuera de catálogo"),
    sentence: later(t("La imagen queda publicada aparte, fuera de catálogo, con el motivo que dan dos personas ({s}).", { s: sha256.slice(0, 12) })),
    reasons: REASONS.fuera_de_catalogo.filter((each) => each !== "dos_identificaciones"),
    words: "optional",
    button: t("Proponer"),
    body: <p class="soft">{t("Su etiqueta dice {e}.", { e: identidad })}</p>,
    proof: <Proof sha256={sha256} role={role} />,
    run: (motivo, texto) => propose(ask, { tipo: "fuera_de_catalogo", imagen: sha256, identidad, motivo, texto }),
  };
}

/** An image of an acta shows an acta of no approved casilla. `identidad` is that of the acta to which it is tied. */
export function outside(sha256: string, identidad: string, ask: Ask, role: string): Action {
  const parts = identidad.split("|");
  const at = { seccion: 3, casilla: 4, tipo: 5, ext: 6 } as const;
  const field = (name: keyof typeof at, label: string, mode: "numeric" | "text" = "numeric") => (
    <div>
      <label for={`fuera-${name}`}>{label}</label>
      <input
        id={`fuera-${name}`}
        size={6}
        inputMode={mode}
        autocomplete="off"
        value={parts[at[name]]}
        onInput={({ currentTarget }) => (parts[at[name]] = currentTarget.value.trim().toUpperCase())}
      />
    </div>
  );
  const text = () => parts.join("|");
  return {
    title: t("Proponer: fuera de catálogo"),
    sentence: later(effectOf("fuera_de_catalogo", sha256.slice(0, 12))),
    reasons: REASONS.fuera_de_catalogo.filter((each) => each !== "dos_identificaciones"),
    words: "optional",
    button: t("Proponer"),
    body: (
      <>
        <p>{t("Escriba lo que dice el papel: es una casilla que el catálogo no tiene.")}</p>
        <div class="row">
          {field("seccion", t("Sección"))}
          {field("tipo", t("Tipo (B, C, E, S)"), "text")}
          {field("casilla", t("Número"))}
          {field("ext", t("Contigua de extraordinaria"))}
        </div>
      </>
    ),
    proof: <Proof sha256={sha256} role={role} />,
    missing: () => (text() === identidad ? t("Escriba la casilla que dice el papel.") : ""),
    run: (motivo, texto) => propose(ask, { tipo: "fuera_de_catalogo", imagen: sha256, identidad: text(), motivo, texto }),
  };
}

/** Two people said that it cannot be identified: it goes back to two who have not looked at it. */
export function identifyAgain(decision: number, sha256: string, ask: Ask, role: string): Action {
  return {
    title: t("Proponer: que la identifiquen otra vez"),
    sentence: later(t("La imagen vuelve a quienes identifican, sin lo que se dijo antes ({s}).", { s: sha256.slice(0, 12) })),
    reasons: ["nueva_evidencia", "error", "otra"],
    words: "optional",
    button: t("Proponer"),
    proof: <Proof sha256={sha256} role={role} />,
    run: async (motivo, texto) => {
      await ask("POST /v1/decisions/{decision}/undo", { motivo, texto }, { path: { decision } });
      return t("Propuesta: falta que otra persona confirme que la decisión {n} se deshaga.", { n: decision });
    },
  };
}

/** The site that has the paper is asked for a better image. It changes no acta, so one person is enough. */
export function askImage(sha256: string, ask: Ask, role: string): Action {
  return {
    title: t("Pedir otra imagen"),
    sentence: t("El sitio que envió esta imagen ve en su pantalla que se le pide otra del mismo papel, y por qué; ningún acta cambia."),
    words: "required",
    label: t("Qué le falta a la imagen (no se publica)"),
    button: t("Pedirla"),
    proof: <Proof sha256={sha256} role={role} />,
    run: async (_, motivo) => {
      const { pedida } = await ask("POST /v1/images/{sha256}/request", { motivo }, { path: { sha256 } });
      return t("Otra imagen pedida a las {h}.", { h: clockTime(pedida) });
    },
  };
}
