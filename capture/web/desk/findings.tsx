// What the machine found odd: photos alike under two actas, identities that differ, votes that exceed what fits.
import type { Ask } from "../shared/find_acta";
import type { DuplicateRow, ExcedeRow, MismatchRow } from "../shared/openapi";
import { clockTime, t } from "../shared/texts";
import type { Action } from "./action";
import type { DeskProps } from "./desk";
import { assign, LOOKS, Proof, Shown } from "./images";
import { List } from "./list";
import { inWords } from "./words";

interface Reviewed {
  revisada: string | null;
  reviso: string | null;
  texto: string | null;
}

const isReviewed = ({ revisada }: Reviewed): boolean => revisada !== null;
const seen = ({ revisada, reviso, texto }: Reviewed) =>
  revisada ? t("{q}, {h}: {x}", { q: reviso ?? "", h: clockTime(revisada), x: texto ?? "" }) : t("nadie todavía");

/** A supervisor looked, and leaves all as it is. */
function review(sentence: string, of: { evento: number } | { version: number }, ask: Ask, proof: Action["proof"]): Action {
  return {
    title: t("Está bien así"),
    sentence: `${sentence} ${t("Nada cambia, y deja de estar por revisar.")}`,
    words: "required",
    label: t("Qué vio (no se publica)"),
    button: t("Guardar"),
    proof,
    run: async (_, texto) => {
      await ask("POST /v1/reviews", { ...of, texto });
      return t("Revisado.");
    },
  };
}

type Props = Pick<DeskProps, "ask" | "role" | "version" | "onAct" | "onShow">;

export function Duplicates({ ask, role, version, onAct, onShow }: Props) {
  return (
    <List
      ask={ask}
      version={version}
      name="GET /v1/lists/duplicates"
      empty={t("Ninguna foto está bajo dos actas.")}
      settled={isReviewed}
      columns={[
        { title: t("Desde"), cell: ({ desde }) => clockTime(desde) },
        { title: t("Una"), cell: (row) => <Acta {...row} onShow={onShow} /> },
        { title: t("Otra"), cell: (row) => <Acta eleccion={row.otra_eleccion} clave={row.otra_clave} onShow={onShow} /> },
        { title: t("Revisó"), cell: seen },
        {
          title: t("Acción"),
          cell: (row) => (
            <div class="buttons">
              <button type="button" onClick={() => onAct(sideBySide(row, role))}>
                {t("Ver las dos")}
              </button>
              {LOOKS.includes(role) && (
                <>
                  <button type="button" onClick={() => onAct(assign(row.imagen, ask, role))}>
                    {t("La una es de otra acta…")}
                  </button>
                  <button type="button" onClick={() => onAct(assign(row.otra_imagen, ask, role))}>
                    {t("La otra es de otra acta…")}
                  </button>
                </>
              )}
              {role === "supervisor" && !row.revisada && (
                <button
                  type="button"
                  onClick={() =>
                    onAct(review(t("Queda dicho que son dos actas distintas y cada imagen está en la suya."), { evento: row.evento }, ask, <Pair row={row} role={role} />))
                  }
                >
                  {t("Son dos actas…")}
                </button>
              )}
            </div>
          ),
        },
      ]}
    />
  );
}

function Pair({ row, role }: { row: DuplicateRow; role: string }) {
  return (
    <div class="pair">
      <figure>
        <figcaption>
          {row.eleccion} <code>{row.clave}</code>
        </figcaption>
        <Proof sha256={row.imagen} role={role} />
      </figure>
      <figure>
        <figcaption>
          {row.otra_eleccion} <code>{row.otra_clave}</code>
        </figcaption>
        <Proof sha256={row.otra_imagen} role={role} />
      </figure>
    </div>
  );
}

const sideBySide = (row: DuplicateRow, role: string): Action => ({
  title: t("Posible duplicado"),
  sentence: t("Casi la misma foto está bajo dos actas. Verlas no cambia nada."),
  proof: <Pair row={row} role={role} />,
});

function Acta({ eleccion, clave, onShow }: { eleccion: string | null; clave: string | null; onShow: DeskProps["onShow"] }) {
  if (!eleccion || !clave) return <>{t("sin acta")}</>;
  return (
    <button type="button" class="plain" onClick={() => onShow("acta", { acta: { eleccion, clave } })}>
      {eleccion} {clave}
    </button>
  );
}

export function Mismatches({ ask, role, version, onAct, onShow }: Props) {
  return (
    <List
      ask={ask}
      version={version}
      name="GET /v1/lists/mismatches"
      empty={t("Ninguna etiqueta contradice a quien envió la imagen.")}
      settled={isReviewed}
      columns={[
        { title: t("Imagen"), cell: ({ imagen }) => <Shown sha256={imagen} role={role} /> },
        { title: t("Qué difiere"), cell: ({ clase }) => inWords(clase) },
        { title: t("Su etiqueta dice"), cell: ({ etiqueta }) => <code>{etiqueta}</code> },
        { title: t("Quien la envió dijo"), cell: ({ dispositivo }) => <code>{dispositivo ?? "—"}</code> },
        { title: t("Está en"), cell: (row) => (row.clave ? <Acta {...row} onShow={onShow} /> : inWords(row.estado)) },
        { title: t("Revisó"), cell: seen },
        { title: t("Acción"), cell: (row) => <MismatchButtons row={row} ask={ask} role={role} onAct={onAct} /> },
      ]}
    />
  );
}

function MismatchButtons({ row, ask, role, onAct }: { row: MismatchRow; ask: Ask; role: string; onAct: DeskProps["onAct"] }) {
  return (
    <div class="buttons">
      {LOOKS.includes(role) && row.clave && (
        <button type="button" onClick={() => onAct(assign(row.imagen, ask, role, { label: row.etiqueta }))}>
          {t("Es de otra acta…")}
        </button>
      )}
      {role === "supervisor" && !row.revisada && (
        <button
          type="button"
          onClick={() => onAct(review(t("Queda dicho que la imagen está donde debe."), { evento: row.evento }, ask, <Proof sha256={row.imagen} role={role} />))}
        >
          {t("Está donde debe…")}
        </button>
      )}
    </div>
  );
}

/** The numbers of the rule: the sum, and the most votes that fit. */
export function whyExcede(row: ExcedeRow): string {
  const { calculado: c, limite: l, lista_nominal: n, representantes: r, boletas_maximas: b, votos_por_boleta: v } = row;
  const fits = n > 0 ? t("{n} de la lista nominal + {r} representantes", { n, r }) : t("{b} boletas como máximo + {r} representantes", { b: b ?? 0, r });
  const each = v > 1 ? t(", por {v} votos en cada boleta", { v }) : "";
  return t("Suma {c} votos y caben {l}: {f}{e}.", { c, l: l ?? "—", f: fits, e: each });
}

export function Excede({ ask, role, version, onAct, onShow }: Props) {
  return (
    <List
      ask={ask}
      version={version}
      name="GET /v1/lists/excede"
      empty={t("Ningún acta excede lo que cabe.")}
      settled={isReviewed}
      columns={[
        { title: t("Acta"), cell: (row) => <Acta {...row} onShow={onShow} /> },
        { title: t("Por qué"), cell: whyExcede },
        { title: t("Estado"), cell: ({ estado }) => estado },
        { title: t("Imagen"), cell: ({ imagen }) => <Shown sha256={imagen} role={role} /> },
        { title: t("Revisó"), cell: seen },
        {
          title: t("Acción"),
          cell: (row) =>
            role === "supervisor" ? (
              <div class="buttons">
                <button type="button" onClick={() => onAct(typeAgain(row, ask, role))}>
                  {t("Capturar otra vez…")}
                </button>
                {!row.revisada && (
                  <button
                    type="button"
                    onClick={() =>
                      onAct(
                        review(
                          t("Queda dicho que así lo dice el papel: {w} El acta sigue publicada y sin contabilizar.", { w: whyExcede(row) }),
                          { version: row.version },
                          ask,
                          <Proof sha256={row.imagen} role={role} />,
                        ),
                      )
                    }
                  >
                    {t("Así dice el papel…")}
                  </button>
                )}
              </div>
            ) : null,
        },
      ]}
    />
  );
}

/** A new round of an acta, from its current image or from another one. */
export function typeAgain(of: { eleccion: string; clave: string; imagen?: string }, ask: Ask, role: string, fromOther = false): Action {
  const round = t("Se abre una ronda nueva: dos personas la capturan otra vez, a ciegas. Lo publicado cuenta hasta que ellas coincidan en algo distinto.");
  return {
    title: fromOther ? t("Capturar de esta imagen") : t("Mandar a capturar otra vez"),
    sentence: fromOther ? `${t("La imagen sustituye a la que se captura; las dos se conservan.")} ${round}` : round,
    words: "required",
    button: t("Abrir la ronda"),
    proof: of.imagen && <Proof sha256={of.imagen} role={role} />,
    run: async (_, motivo) => {
      const body = fromOther && of.imagen ? { motivo, imagen: of.imagen } : { motivo };
      await ask("POST /v1/actas/{eleccion}/{clave}/recaptura", body, { path: { eleccion: of.eleccion, clave: of.clave } });
      return t("Ronda nueva abierta.");
    },
  };
}
