/* The boxes of casilla.html: they lead to a sección by its number, and by words of the place where its casillas stand
   (lugares/, see docs/tree.md). Without them the lists of the page lead there too. */
const FIRST = 2, LONGEST = 12, MOST = 30;
const make = (tag, text = "", kind = "") => Object.assign(document.createElement(tag), { textContent: text, className: kind });

/** A form of one question, in `where`. */
const form = (where, label, attributes, button, answer) => {
  const made = make("form", "", "search");
  const box = make("div");
  const input = Object.assign(make("input"), { autocomplete: "off", ...attributes });
  const named = make("label", label);
  named.htmlFor = input.id;
  box.append(named, input);
  const said = make("p");
  said.role = "status";
  made.append(box, make("button", button, "button"), said);
  made.onsubmit = (event) => {
    event.preventDefault();
    answer(input.value.trim(), (text) => (said.textContent = text));
  };
  where.append(made);
  return made;
};

/** The words that are searched, as the publisher writes them. */
const wordsOf = (text) =>
  text.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase().split(/[^a-z0-9]+/).filter((word) => word.length >= FIRST);

/** The places with a word that begins so; those with the very word, if the others are too many; else null. */
const placesWith = async (word, state, root) => {
  const whole = word.slice(0, LONGEST);
  for (let letters = FIRST; ; letters += 1) {
    const answer = await fetch(new URL(`lugares/${state}-${whole.slice(0, letters)}.json`, root));
    if (answer.status === 404) return [];
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    if (!told.sigue) return told.muchos ? null : told.lugares;
    if (whole.length === letters) return told.lugares.length ? Object.assign(told.lugares, { partial: true }) : null;
    if (!told.sigue.includes(whole[letters])) return [];
  }
};

/** Places with every word, each once; null if the words are in too many places. */
const find = async (text, state, root) => {
  const words = wordsOf(text);
  const found = (await Promise.all(words.map((word) => placesWith(word, state, root)))).filter(Boolean);
  if (!found.length) return null;
  const all = found.filter((each) => !each.partial);
  const fewest = (all.length ? all : found).reduce((one, other) => (other.length < one.length ? other : one));
  return fewest.filter((place) => {
    const own = wordsOf(`${place.lugar} ${place.direccion} ${place.municipio}`);
    return words.every((word) => own.some((each) => each.startsWith(word)));
  });
};

const shownPlace = (place, state, root) => {
  const item = make("li");
  const link = make("a", place.lugar || place.direccion);
  link.href = new URL(`seccion/${state}-${String(place.seccion).padStart(4, "0")}.html`, root);
  const where = [place.lugar && place.direccion, place.municipio, place.seccion ? `sección ${String(place.seccion).padStart(4, "0")}` : ""];
  item.append(link, make("br"), make("small", where.filter(Boolean).join(" · ")));
  return item;
};

export const search = (where, root) => {
  const places = [...document.querySelectorAll("[data-entidad]")];
  if (!places.length) return;
  const state = make("select");
  state.id = "b-entidad";
  for (const each of places) state.add(new Option(each.dataset.nombre, each.dataset.entidad));

  const byNumber = form(where, "Número de sección", { id: "b-seccion", inputMode: "numeric", maxLength: 4 }, "Ver sus casillas", async (digits, say) => {
    if (!/^\d{1,4}$/.test(digits)) return say("Escriba el número de su sección: de una a cuatro cifras.");
    const page = new URL(`seccion/${state.value}-${digits.padStart(4, "0")}.html`, root);
    const there = await fetch(page, { method: "HEAD" }).catch(() => null);
    if (there?.ok) return location.assign(page);
    return say(there ? `Aquí no hay una sección ${digits}.` : "No se pudo preguntar: revise su conexión.");
  });
  if (places.length > 1) {
    const box = make("div");
    const label = make("label", "Entidad");
    label.htmlFor = state.id;
    box.append(label, state);
    byNumber.prepend(box);
  }
  if (!where.dataset.lugares) return;
  const list = make("ul", "", "places");
  form(where, "Lugar o domicilio de la casilla", { id: "b-lugar", maxLength: 80 }, "Buscar el lugar", async (text, say) => {
    list.replaceChildren();
    if (!wordsOf(text).length) return say("Escriba el nombre de la escuela o del lugar, o la calle y la colonia.");
    say("Buscando…");
    const found = await find(text, state.value, root).catch(() => undefined);
    if (found === undefined) return say("No se pudo preguntar: revise su conexión.");
    if (found === null) return say("Hay muchos lugares con esas palabras: agregue otra, por ejemplo la colonia o el número.");
    list.append(...found.slice(0, MOST).map((place) => shownPlace(place, state.value, root)));
    const more = found.length > MOST ? ` Estos son los primeros ${MOST}: agregue otra palabra.` : "";
    return say(found.length ? `${found.length} ${found.length === 1 ? "lugar" : "lugares"}.${more}` : "Ningún lugar de casilla tiene esas palabras.");
  }).after(list);
};
