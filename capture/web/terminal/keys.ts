// The keys of the terminal. A numeric keypad alone is enough; the other keys say the same on a whole keyboard.
import type { Mover } from "./picture";

export type Said =
  | { do: "digit"; digit: string }
  | { do: "enter" | "next" | "back" | "ilegible" | "sin dato" | "letters" | "erase" | "image" };

/** What a key says while a person types; null: it is not ours, and the browser does with it as always. */
export function said(event: KeyboardEvent): Said | null {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  if (/^\d$/.test(event.key)) return { do: "digit", digit: event.key };
  switch (event.key) {
    case "Enter":
      return { do: "enter" };
    case "+":
    case "ArrowDown":
      return { do: "next" };
    case "-":
    case "ArrowUp":
      return { do: "back" };
    case "*":
    case "i":
    case "I":
      return { do: "ilegible" };
    case "/":
    case "s":
    case "S":
      return { do: "sin dato" };
    case "c":
    case "C":
      return { do: "letters" };
    case "Backspace":
    case "Delete":
      return { do: "erase" };
    case ".":
    case ",":
      return { do: "image" };
    default:
      return null;
  }
}

const STEP = 0.2;

/** Moves the image by a key; false if the key ends that, null if it means nothing here. */
export function moveImage(
  event: KeyboardEvent,
  mover: Mover | null,
  toggleStrip: () => void,
  toggleLetters: () => void = () => {},
): boolean | null {
  if (event.ctrlKey || event.altKey || event.metaKey || event.key === "Tab") return null;
  switch (event.key) {
    case "4":
    case "ArrowLeft":
      mover?.move(-STEP, 0);
      return true;
    case "6":
    case "ArrowRight":
      mover?.move(STEP, 0);
      return true;
    case "8":
    case "ArrowUp":
      mover?.move(0, -STEP / 2);
      return true;
    case "2":
    case "ArrowDown":
      mover?.move(0, STEP / 2);
      return true;
    case "+":
      mover?.zoom(1.25);
      return true;
    case "-":
      mover?.zoom(0.8);
      return true;
    case "5":
      mover?.turn();
      return true;
    case "0":
      toggleStrip();
      return true;
    case "9":
      toggleLetters();
      return false;
    case ".":
    case ",":
    case "Enter":
    case "Escape":
      return false;
    default:
      return true; // every other key waits until the image stands still
  }
}

/** Whether an input takes this change. The keys above write the fields: no paste, no drop, no word of the browser's own. */
export function onlyKeys(event: InputEvent): void {
  event.preventDefault();
}
