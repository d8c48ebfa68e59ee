// It asks for index.json now and then. When a corte comes out, the page takes its content and keeps its place; when its
// hour passes, it says so. Without it the pages say the same.
"use strict";
(() => {
  const root = new URL(".", document.currentScript.src);
  const notices = document.getElementById("avisos");
  const TOLD = 45e3; // a corte may take this long to come out before it is called late
  let index = null;
  let shown = null;
  let ahead = 0; // the server's clock minus ours, in milliseconds
  let failed = 0;

  /** A line of its kind above the page; without a text, none. */
  const say = (kind, text) => {
    let line = notices.querySelector(`[data-kind=${kind}]`);
    if (!text) return line?.remove();
    if (!line) {
      line = document.createElement("p");
      line.dataset.kind = kind;
      line.className = kind;
    }
    if (line.textContent === text) return;
    line.textContent = text;
    notices.append(line);
  };

  const now = () => Date.now() + ahead;
  const two = (n) => String(n).padStart(2, "0");

  /** The clock beside the hour of the next corte, and the notice that it is late. */
  const tick = () => {
    const due = index?.siguiente ? Date.parse(index.siguiente) : 0;
    for (const each of document.querySelectorAll("time.due")) {
      let left = each.nextElementSibling;
      if (!left?.matches(".left")) {
        left = document.createElement("span");
        left.className = "left";
        left.ariaHidden = "true";
        each.after(left);
      }
      const seconds = Math.ceil((Date.parse(each.dateTime) - now()) / 1000);
      const minutes = Math.floor(seconds / 60);
      left.textContent = seconds > 0 && minutes < 600 ? ` (en ${minutes}:${two(seconds % 60)})` : "";
    }
    const late = due ? now() - due : 0;
    const minutes = Math.max(1, Math.round(late / 60e3));
    say("late", late > TOLD ? `El corte que tocaba está retrasado ${minutes} min. Lo publicado hasta aquí no cambia.` : "");
  };

  /** Every figure of a page by its name. */
  const figures = (where) =>
    new Map([...where.querySelectorAll("data[data-de]")].map((each) => [each.getAttribute("data-de"), each.getAttribute("value")]));

  /** How to find an element again. */
  const nameOf = (each) => {
    if (!each?.closest("main")) return "";
    if (each.id) return `#${CSS.escape(each.id)}`;
    const tag = each.tagName.toLowerCase();
    const href = each.getAttribute("href");
    const same = `main ${tag}${href ? `[href="${CSS.escape(href)}"]` : ""}`;
    return `${same}\n${[...document.querySelectorAll(same)].indexOf(each)}`;
  };
  const found = (name) => {
    const [selector, at] = name.split("\n");
    return selector ? document.querySelectorAll(selector)[Number(at ?? 0)] : undefined;
  };

  /** Put the new content in the place of the old. */
  const take = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const main = document.querySelector("main");
    const other = fresh.querySelector("main");
    const told = fresh.documentElement.dataset.corte;
    // A page that this corte did not write stays as it is, with what its reader did in it.
    if (!main || !other || !told || told === document.documentElement.dataset.corte) return;
    document.documentElement.dataset.corte = told;
    const before = figures(main);
    const focus = nameOf(document.activeElement);
    const open = [...main.querySelectorAll("details")].map((each) => each.open);
    const scrolled = [...main.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    // What the reader sees first stays at its height.
    const seen = [...main.querySelectorAll("h1,h2,h3,tr,p,dt,li")].find((each) => each.getBoundingClientRect().bottom > 0);
    const anchor = nameOf(seen ?? null);
    const height = seen?.getBoundingClientRect().top ?? 0;
    const search = document.getElementById("buscar");
    main.replaceChildren(...other.childNodes);
    if (search) document.getElementById("buscar")?.replaceWith(search);
    equip();
    main.querySelectorAll("details").forEach((each, at) => (each.open = open[at] ?? each.open));
    main.querySelectorAll(".scroll").forEach((each, at) => (each.scrollLeft = scrolled[at] ?? 0));
    for (const each of main.querySelectorAll("data[data-de]")) {
      const was = before.get(each.getAttribute("data-de"));
      if (was !== undefined && was !== each.getAttribute("value")) each.classList.add("moved");
    }
    found(focus)?.focus({ preventScroll: true });
    const again = found(anchor);
    if (again) scrollBy({ top: again.getBoundingClientRect().top - height, behavior: "instant" });
    document.title = fresh.title;
  };

  const look = async () => {
    try {
      const answer = await fetch(new URL("index.json", root), { cache: "no-cache" });
      if (!answer.ok) throw new Error(String(answer.status));
      const date = Date.parse(answer.headers.get("date") ?? "");
      if (date) ahead = date - Date.now();
      const told = await answer.json();
      failed = 0;
      index = told;
      say("incident", told.incidentes?.map((each) => `Incidente, ${each.fecha_hora.slice(11, 16)} h: ${each.texto}`).join(" · "));
      shown ??= told.corte; // a page that did not change keeps the number of an earlier corte
      if (told.corte > shown) {
        const page = await fetch(location.pathname + location.search, { cache: "no-cache" });
        if (page.ok) take(await page.text());
        else if (page.status === 404) say("gone", "Esta acta se retiró: vuelve a esperarse. La página ya no existe.");
        shown = told.corte;
        say("news", `Salió el corte ${told.corte}. Los números que cambiaron están marcados.`);
        setTimeout(() => say("news", ""), 15e3);
      }
    } catch {
      failed += 1; // the page stays as it is
    }
    tick();
    if (index?.fase === "final") return;
    // Each page asks at another moment, and a little more often around the hour of a corte.
    const due = index?.siguiente ? Date.parse(index.siguiente) - now() : 0;
    const usual = due > 0 && due < 25e3 ? due + 2e3 : due <= 0 && due > -120e3 ? 6e3 : 25e3;
    setTimeout(look, usual * (0.75 + Math.random() / 2) * Math.min(8, 2 ** failed));
  };

  /** What only some readers ask for is loaded when they do: the search of a casilla, and the proof of an acta. */
  const equip = () => {
    const where = document.getElementById("buscar");
    if (where && !where.firstChild) import(new URL("buscar.js", root)).then(({ search }) => search(where, root));
    const place = document.getElementById("prueba");
    if (!place || place.firstChild) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = "Comprobar aquí su imagen y su lugar en la bitácora";
    button.onclick = () =>
      import(new URL("prueba.js", root)).then(
        ({ prove }) => prove(place, root),
        () => (button.textContent = "No se pudo cargar la comprobación: revise su conexión, y toque otra vez"),
      );
    place.append(button);
  };

  // `#muro` at the end of the address: for a screen on a wall.
  const wall = () => document.documentElement.classList.toggle("wall", location.hash === "#muro");
  addEventListener("hashchange", wall);
  wall();
  if (location.protocol.startsWith("http")) {
    equip();
    look();
    setInterval(tick, 1000);
    document.addEventListener("visibilitychange", tick);
  }
})();
