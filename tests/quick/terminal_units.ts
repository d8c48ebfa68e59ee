// What the terminal does with keys, figures and places, for tests/quick/test_terminal_units.py.
import { readFileSync } from "node:fs";
import { moveImage, said } from "../../capture/web/terminal/keys";
import { homography, moved, placeOf, plainTransform, stripTransform, turned, WHOLE, zoomed } from "../../capture/web/terminal/place";
import { firstEmpty, toSend, warnings, withDigit, withoutLast } from "../../capture/web/terminal/work";

const [, , folder] = process.argv;
const given = JSON.parse(readFileSync(`${folder}/given.json`, "utf8"));
const press = (key: string, held = {}) => ({ key, ctrlKey: false, altKey: false, metaKey: false, ...held }) as KeyboardEvent;
const told = {
  keys: given.keys.map((key: string) => said(press(key))),
  held: ["ctrlKey", "altKey", "metaKey"].map((held) => said(press("7", { [held]: true }))),
  moves: given.moves.map((key: string) => moveImage(press(key), null, () => {})),
  typed: given.typed.map(([before, digit, fresh, most]: [string, string, boolean, number]) => withDigit(before, digit, fresh, most)),
  erased: given.erased.map(withoutLast),
  empty: given.filled.map((values: Record<string, string>) => firstEmpty(given.fields, values)),
  sent: given.filled.map((values: Record<string, string>) => toSend(given.fields, values)),
  warned: given.warned.map(([values, most]: [Record<string, string>, number | null]) => warnings(given.fields, values, most).length),
  map: homography(given.square, given.corners),
  none: homography([[0, 0], [0, 0], [0, 0], [0, 0]], given.corners),
  strip: stripTransform(given.strip, { width: 1000, height: 600 }, { width: 500, height: 300 }, 0.5),
  noStrip: [null, given.strip.slice(1), [[1, 1], [1, 1], [1, 1], [1, 1]]].map((each) =>
    stripTransform(each, { width: 1000, height: 600 }, { width: 500, height: 300 }, 0.5),
  ),
  places: [moved(WHOLE, 9, -9), zoomed(WHOLE, 100), zoomed(WHOLE, 0.001), turned({ ...WHOLE, turn: 270 }), placeOf(given.strip, 2)],
  plain: plainTransform(WHOLE, { width: 1000, height: 600 }, { width: 500, height: 300 }),
};
console.log(JSON.stringify(told));
