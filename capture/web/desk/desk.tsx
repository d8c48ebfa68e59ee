// The desk of those in charge: one board, the lists of the night with their actions, and one acta at a time.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Gate, useSession } from "../shared/gate";
import { Bar } from "../shared/session";
import { mark, t } from "../shared/texts";
import { ActaPage } from "./acta";
import { type Action, ActionDialog } from "./action";
import { Board } from "./board";
import { Lists, LISTS, type ListPage } from "./lists";
import { Quality } from "./quality";

const SEES_BOARD = ["supervisor", "administrador"];
const SEES_QUALITY = ["supervisor"];
export type Page = "tablero" | "calidad" | "acta" | ListPage;

const TITLES: Record<Page, string> = {
  tablero: mark("Tablero"),
  calidad: mark("Calidad de la captura"),
  cotejo: mark("Por cotejar"),
  waiting: mark("Lo que espera"),
  decisions: mark("Decisiones de dos"),
  missing: mark("Actas sin imagen"),
  unidentified: mark("Sin identificar"),
  fuera: mark("Fuera de catálogo"),
  duplicates: mark("Posibles duplicados"),
  mismatches: mark("Etiqueta y envío difieren"),
  excede: mark("Exceden lo que cabe"),
  parked: mark("Mensajes apartados"),
  corrections: mark("Correcciones"),
  devices: mark("Dispositivos"),
  people: mark("Personas"),
  changes: mark("Pausas y cambios de sitio"),
  sites: mark("Sitios"),
  acta: mark("Un acta"),
};

export interface DeskProps {
  ask: ReturnType<typeof useSession>["ask"];
  role: string;
  user: string;
  /** Grows when an action was done: lists are read again. */
  version: number;
  onAct: (action: Action) => void;
  onShow: (to: Page, what?: Wanted) => void;
}

/** What a page is opened for; without it, for everything. */
export interface Wanted {
  acta?: { eleccion: string; clave: string };
  decision?: number;
}

export function Desk() {
  const session = useSession();
  const { person, trouble, ask } = session;
  const title = t("Mesa de supervisión");
  const role = person?.rol ?? "";
  const pages: Page[] = [
    ...(SEES_BOARD.includes(role) ? (["tablero"] as const) : []),
    ...LISTS.filter(({ roles }) => roles.includes(role)).map(({ page }) => page),
    ...(SEES_QUALITY.includes(role) ? (["calidad"] as const) : []),
    "acta",
  ];
  const [chosen, setChosen] = useState<Page | null>(() => (location.hash.slice(1) as Page) || null);
  const page = chosen && pages.includes(chosen) ? chosen : pages[0]!;
  const [action, setAction] = useState<Action | null>(null);
  const [done, setDone] = useState<ComponentChildren>("");
  const [version, setVersion] = useState(0);

  const [wanted, setWanted] = useState<Wanted>({});

  function show(to: Page, what: Wanted = {}): void {
    setChosen(to);
    setWanted(what);
    setDone("");
    history.replaceState(null, "", `#${to}`);
  }
  const common: DeskProps = {
    ask,
    role,
    user: person?.usuario ?? "",
    version,
    onAct: (next) => {
      setDone("");
      setAction(next);
    },
    onShow: show,
  };
  return (
    <Gate session={session} title={title}>
      {person && <Bar title={title} person={person} onLogout={() => location.reload()} />}
      <div class="desk">
        <nav aria-label={t("Páginas de la mesa")}>
          {pages.map((each) => (
            <button type="button" key={each} aria-current={each === page ? "page" : undefined} onClick={() => show(each)}>
              {t(TITLES[each])}
            </button>
          ))}
        </nav>
        <main>
          <h2>{t(TITLES[page])}</h2>
          <div role="status">
            {trouble && <p class="notice">{trouble}</p>}
            {done && <div class="done">{done}</div>}
          </div>
          {page === "tablero" ? (
            <Board ask={ask} role={role} pages={pages} onShow={show} />
          ) : page === "calidad" ? (
            <Quality ask={ask} version={version} />
          ) : page === "acta" ? (
            <ActaPage key={wanted.acta?.clave} {...common} wanted={wanted.acta} />
          ) : (
            <Lists key={`${page} ${wanted.decision ?? ""}`} {...common} page={page} decision={wanted.decision} />
          )}
        </main>
      </div>
      {action && (
        <ActionDialog
          action={action}
          onClose={(said) => {
            setAction(null);
            setDone(said);
            if (said) setVersion((before) => before + 1);
          }}
        />
      )}
    </Gate>
  );
}
