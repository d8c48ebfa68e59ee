// A drop-down with type-ahead: digits or letters narrow the list, + and − walk in it, Enter takes.
import type { Ref } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "./texts";

export interface Option<T> {
  value: T;
  text: string;
}

interface Props<T> {
  id: string;
  label: string;
  options: Option<T>[] | null;
  chosen: Option<T> | null;
  onChoose: (option: Option<T>) => void;
  box: Ref<HTMLInputElement>;
}

const MOST = 60;
/** «Á» is found by «a»: nobody types accents on a keypad. */
const plain = (text: string): string => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();

/** Those in which every word that was typed begins a word; those whose first word it is come first. */
export function matching<T>(options: Option<T>[], typed: string): Option<T>[] {
  const wanted = plain(typed).split(/\s+/).filter(Boolean);
  if (!wanted.length) return options;
  const found = options.filter(({ text }) => {
    const words = plain(text).split(/[^a-z0-9ñ]+/).flatMap((word) => [word, word.replace(/^0+/, "")]);
    return wanted.every((each) => words.some((word) => word.startsWith(each)));
  });
  const exact = wanted[0]!.replace(/^0+/, "");
  const first = ({ text }: Option<T>): string => plain(text).split(" ")[0]!.replace(/^0+/, "");
  return [...found].sort((one, other) => Number(first(other) === exact) - Number(first(one) === exact));
}

export function Combo<T>({ id, label, options, chosen, onChoose, box }: Props<T>) {
  const [typed, setTyped] = useState<string | null>(null);
  const [active, setActive] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const found = options === null ? [] : matching(options, typed ?? "");
  const open = typed !== null;
  useEffect(() => setActive(0), [typed]);
  useEffect(() => list.current?.children[active]?.scrollIntoView({ block: "nearest" }), [active, open]);

  function take(option: Option<T> | undefined): void {
    if (!option) return;
    setTyped(null);
    onChoose(option);
  }
  function onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const last = Math.min(found.length, MOST) - 1;
    if (event.key === "ArrowDown" || event.key === "+") {
      if (open) setActive(Math.min(last, active + 1));
      else setTyped("");
    } else if (event.key === "ArrowUp" || (event.key === "-" && open)) setActive(Math.max(0, active - 1));
    else if (event.key === "Escape") setTyped(null);
    else if (event.key === "Enter") {
      if (event.repeat) return;
      if (open) take(found[active]);
      else if (chosen) take(chosen);
      else setTyped("");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
  return (
    <div class="combo">
      <label for={id}>{label}</label>
      <input
        id={id}
        ref={box}
        role="combobox"
        aria-expanded={open}
        aria-controls={`${id}-lista`}
        aria-autocomplete="list"
        aria-activedescendant={open && found[active] ? `${id}-${active}` : undefined}
        aria-disabled={options === null}
        autocomplete="off"
        spellcheck={false}
        value={typed ?? chosen?.text ?? ""}
        onFocus={({ currentTarget }) => currentTarget.select()}
        onBlur={() => setTyped(null)}
        onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        onClick={() => setTyped("")}
        onKeyDown={onKey}
        onPaste={(event) => event.preventDefault()}
      />
      <ul id={`${id}-lista`} role="listbox" aria-label={label} ref={list} class={open ? "list" : "list hidden"}>
        {open &&
          found.slice(0, MOST).map((option, each) => (
            <li
              id={`${id}-${each}`}
              key={option.text}
              role="option"
              aria-selected={each === active}
              onMouseDown={(event) => {
                event.preventDefault();
                take(option);
              }}
            >
              {option.text}
            </li>
          ))}
      </ul>
      {open && options !== null && found.length === 0 && <p class="soft">{t("Nada en la lista empieza así.")}</p>}
    </div>
  );
}
