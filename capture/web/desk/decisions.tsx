// The decisions of two people: a second person looks at the image and answers; either asks to undo it.
import type { Ask } from "../shared/find_acta";
import type { DecisionRow } from "../shared/openapi";
import { clockTime, t } from "../shared/texts";
import type { Action } from "./action";
import type { DeskProps } from "./desk";
import { Proof, Shown } from "./images";
import { List } from "./list";
import { effectOf, inWords, subjectOf, UNDO_REASONS, undoneOf } from "./words";

interface Props extends Pick<DeskProps, "ask" | "role" | "user" | "version" | "onAct"> {
  /** This one alone. */
  only?: number | undefined;
}

export function Decisions({ ask, role, user, version, onAct, only }: Props) {
  return (
    <List
      ask={ask}
      version={version}
      name="GET /v1/lists/decisions"
      empty={t("Nadie ha propuesto nada.")}
      only={only === undefined ? undefined : ({ decision }) => decision === only}
      columns={[
        { title: t("Núm."), cell: ({ decision }) => decision, number: true },
        { title: t("Qué"), cell: ({ tipo }) => inWords(tipo) },
        {
          title: t("De qué"),
          cell: (row) => (
            <>
              <code>{subjectOf(row)}</code> {row.imagen && <Shown sha256={row.imagen} role={role} />}
            </>
          ),
        },
        { title: t("Por qué"), cell: ({ motivo, texto }) => `${inWords(motivo)}${texto ? `: ${texto}` : ""}` },
        { title: t("Estado"), cell: (row) => <b>{row.estado}</b> },
        { title: t("Propuso"), cell: ({ propuso, propuesta }) => `${propuso}, ${clockTime(propuesta)}` },
        { title: t("Acción"), cell: (row) => <DecisionButtons row={row} user={user} role={role} ask={ask} onAct={onAct} /> },
      ]}
    />
  );
}

/** The decision about a row that waits for its second person, instead of a second proposal about the same. */
export function Pending({ number, role, onShow }: { number: number; role: string; onShow: DeskProps["onShow"] }) {
  if (role === "observador") return <>{t("hay una propuesta")}</>;
  return (
    <button type="button" class="plain" onClick={() => onShow("decisions", { decision: number })}>
      {t("Propuesta {n}: espera a otra persona", { n: number })}
    </button>
  );
}

interface ButtonProps {
  row: DecisionRow;
  user: string;
  role: string;
  ask: Ask;
  onAct: (action: Action) => void;
}

function DecisionButtons({ row, user, role, ask, onAct }: ButtonProps) {
  const path = { path: { decision: row.decision } };
  const subject = subjectOf(row);
  // Who answers looks at what the other one saw.
  const proof = row.imagen && <Proof sha256={row.imagen} role={role} />;
  const undoing = row.estado === "por deshacer";
  const mine = (undoing ? row.pidio_deshacer : row.propuso) === user;
  if (row.estado === "propuesta" || undoing) {
    const effect = undoing ? undoneOf(row.tipo, subject) : effectOf(row.tipo === "imagen_de_otra_acta" && !row.clave ? "imagen_libre" : row.tipo, subject);
    return (
      <div class="buttons">
        {!mine && (
          <button
            type="button"
            onClick={() =>
              onAct({
                title: undoing ? t("Confirmar que se deshace") : t("Confirmar"),
                sentence: `${effect} ${t("Pasa en cuanto lo confirme.")}`,
                proof,
                words: "optional",
                button: t("Confirmar"),
                run: async (_, texto) => {
                  const { estado } = await ask("POST /v1/decisions/{decision}/confirm", { texto }, path);
                  return t("Decisión {n}: {e}.", { n: row.decision, e: estado });
                },
              })
            }
          >
            {t("Confirmar…")}
          </button>
        )}
        <button
          type="button"
          onClick={() =>
            onAct({
              title: mine ? t("Retirar lo propuesto") : t("Rechazar"),
              sentence: t("La propuesta {n} termina aquí y nada cambia ({s}).", { n: row.decision, s: subject }),
              words: "optional",
              button: mine ? t("Retirar") : t("Rechazar"),
              run: async (_, texto) => {
                const { estado } = await ask("POST /v1/decisions/{decision}/reject", { texto }, path);
                return t("Decisión {n}: {e}.", { n: row.decision, e: estado });
              },
            })
          }
        >
          {mine ? t("Retirar…") : t("Rechazar…")}
        </button>
      </div>
    );
  }
  if (row.estado !== "confirmada" || row.tipo === "numero_perdido") return null;
  return (
    <button
      type="button"
      onClick={() =>
        onAct({
          title: t("Proponer que se deshaga"),
          sentence: `${undoneOf(row.tipo, subject)} ${t("Esto pasa cuando otra persona lo confirma.")}`,
          reasons: UNDO_REASONS,
          words: "optional",
          button: t("Proponer"),
          run: async (motivo, texto) => {
            await ask("POST /v1/decisions/{decision}/undo", { motivo, texto }, path);
            return t("Propuesta: falta que otra persona confirme que la decisión {n} se deshaga.", { n: row.decision });
          },
        })
      }
    >
      {t("Deshacer…")}
    </button>
  );
}
