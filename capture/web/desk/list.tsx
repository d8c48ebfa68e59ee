// A list of the API as a table: read a part at a time, filtered in the page, and read anew.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Ask } from "../shared/find_acta";
import type { Operations } from "../shared/openapi";
import { sentenceOf } from "../shared/session";
import { t } from "../shared/texts";

export type ListName = Extract<keyof Operations, `GET /v1/lists/${string}`>;
export type RowOf<N extends ListName> = Operations[N]["answer"]["filas"][number];

export interface Column<R> {
  title: string;
  cell: (row: R) => ComponentChildren;
  number?: boolean;
}

interface Props<N extends ListName> {
  ask: Ask;
  name: N;
  columns: Column<RowOf<N>>[];
  /** Read again when this changes. */
  version: number;
  empty: string;
  /** What nobody must look at any more: it is shown only on request. */
  settled?: (row: RowOf<N>) => boolean;
  /** These rows alone, until the person wants all. */
  only?: ((row: RowOf<N>) => boolean) | undefined;
  /** Above the table. */
  children?: ComponentChildren;
}

export function List<N extends ListName>({ ask, name, columns, version, empty, settled, only, children }: Props<N>) {
  const [rows, setRows] = useState<RowOf<N>[] | null>(null);
  const [more, setMore] = useState<number | null>(null);
  const [wanted, setWanted] = useState("");
  const [said, setSaid] = useState("");
  const [all, setAll] = useState(false);

  async function read(after: number): Promise<void> {
    try {
      const part = await ask(name, undefined, { query: { despues: after } });
      const found = part.filas as RowOf<N>[];
      setRows((before) => (after && before ? [...before, ...found] : found));
      setMore(part.siguiente);
      setSaid("");
    } catch (error) {
      setSaid(sentenceOf(error));
      setRows((before) => before ?? []);
    }
  }
  useEffect(() => void read(0), [name, version]);

  const plain = wanted.trim().toLowerCase();
  const kept = rows?.filter((row) => all || ((!only || only(row)) && !settled?.(row))) ?? [];
  const shown = kept.filter((row) => !plain || JSON.stringify(row).toLowerCase().includes(plain));
  return (
    <>
      <div class="tools">
        <label class="visually-hidden" for="filtro">
          {t("Filtrar")}
        </label>
        <input id="filtro" type="search" placeholder={t("Filtrar")} value={wanted} onInput={({ currentTarget }) => setWanted(currentTarget.value)} />
        <span class="soft" role="status">
          {rows === null ? t("Cargando…") : more ? t("Filas: {n}, y hay más", { n: shown.length }) : t("Filas: {n}", { n: shown.length })}
        </span>
        <button type="button" onClick={() => read(0)}>
          {t("Leer otra vez")}
        </button>
        {settled && (
          <label class="check">
            <input type="checkbox" checked={all} onChange={({ currentTarget }) => setAll(currentTarget.checked)} /> {t("También lo revisado")}
          </label>
        )}
        {only && !all && (
          <button type="button" onClick={() => setAll(true)}>
            {t("Ver todas")}
          </button>
        )}
        {children}
      </div>
      {said && (
        <p class="notice" role="alert">
          {said}
        </p>
      )}
      {rows !== null && shown.length === 0 && !said && <p class="soft">{empty}</p>}
      {shown.length > 0 && (
        <div class="wide" tabIndex={0} role="region" aria-label={t("Lista")}>
          <table>
            <thead>
              <tr>
                {columns.map(({ title, number }) => (
                  <th scope="col" class={number ? "number" : ""} key={title}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.slice(0, 500).map((row, each) => (
                <tr key={each}>
                  {columns.map(({ title, cell, number }) => (
                    <td class={number ? "number" : ""} key={title}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more !== null && (
        <button type="button" onClick={() => read(more)}>
          {t("Leer más")}
        </button>
      )}
    </>
  );
}
