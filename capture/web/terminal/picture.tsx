// The image of a task: fetched once, shown at the strip of the field in hand, or at the place to which a person moved it.
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Ref } from "preact";
import { fetchImage, Refusal } from "../shared/api";
import type { FieldOfForm, TaskAnswer } from "../shared/openapi";
import { t } from "../shared/texts";
import { moved, type Place, placeOf, plainTransform, remember, remembered, type Size, type Strip, stripTransform, turned, WHOLE, zoomed } from "./place";

export interface Mover {
  move(right: number, down: number): void;
  zoom(by: number): void;
  turn(): void;
}

interface Props {
  task: TaskAnswer;
  field: FieldOfForm | null;
  index: number;
  /** How much of the window's height the strip may fill. */
  share: number;
  mover: Ref<Mover>;
}

type Loaded = { state: "loading" } | { state: "failed"; said: string } | { state: "shown"; url: string };

export function Picture({ task, field, index, share, mover }: Props) {
  const loaded = useImage(task);
  const window_ = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<Size>({ width: 1, height: 1 });
  const [natural, setNatural] = useState<Size | null>(null);
  const [byHand, setByHand] = useState<Place | null>(null);
  const form = task.acta?.eleccion ?? "";
  const turn = useRef(0);
  const [broken, setBroken] = useState(false);

  useLayoutEffect(() => {
    const element = window_.current!;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  // Another field: its own strip again, or the place at which this form was looked at.
  useLayoutEffect(() => setByHand(null), [index, task.tarea]);
  useLayoutEffect(() => {
    setNatural(null);
    setBroken(false);
    turn.current = 0;
  }, [task.imagen]);

  const strip: Strip | null = natural && !byHand ? stripTransform(field?.recorte, natural, size, share) : null;
  const place: Place = byHand ?? { ...(remembered(form, task.campos, index) ?? WHOLE), turn: turn.current };

  useImperativeHandle(mover, () => {
    const change = (by: (place: Place) => Place) => {
      const next = by(byHand ?? (strip && placeOf(field?.recorte, 1.5)) ?? place);
      turn.current = next.turn;
      setByHand(next);
      remember(form, field?.codigo ?? "", next);
    };
    return {
      move: (right, down) => change((from) => moved(from, ...along(from.turn, right, down))),
      zoom: (by) => change((from) => zoomed(from, by)),
      turn: () => change(turned),
    };
  });

  const transform = strip ? strip.transform : natural ? plainTransform(place, natural, size) : "none";
  return (
    <div class="picture" ref={window_}>
      {loaded.state === "loading" && (
        <p class="over" role="status">
          {t("Cargando la imagen…")} <progress aria-label={t("Cargando la imagen…")} />
        </p>
      )}
      {loaded.state === "failed" && (
        <p class="over bad" role="alert">
          {loaded.said}
        </p>
      )}
      {broken && (
        <p class="over bad" role="alert">
          {t("El navegador no puede mostrar esta imagen: devuelva la tarea y avise a quien supervisa.")}
        </p>
      )}
      {loaded.state === "shown" && !broken && (
        <img
          src={loaded.url}
          alt={t("Imagen del acta")}
          draggable={false}
          class={natural ? "" : "hidden"}
          onError={() => setBroken(true)}
          style={{ transform }}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
            setNatural({ width: naturalWidth, height: naturalHeight })
          }
        />
      )}
      {strip && (
        <div
          class="frame"
          style={{ left: px(strip.left), top: px(strip.top), width: px(strip.width), height: px(strip.height) }}
        />
      )}
    </div>
  );
}

const px = (length: number): string => `${length}px`;

/** A step on the screen as a step on the image, which may lie on its side. */
function along(turn: number, right: number, down: number): [number, number] {
  switch (turn) {
    case 90:
      return [down, -right];
    case 180:
      return [-right, -down];
    case 270:
      return [-down, right];
    default:
      return [right, down];
  }
}

function useImage(task: TaskAnswer): Loaded {
  const [loaded, setLoaded] = useState<Loaded>({ state: "loading" });
  useEffect(() => {
    let url = "";
    let gone = false;
    setLoaded({ state: "loading" });
    void (async () => {
      for (let tries = 0; !gone; tries++) {
        try {
          const blob = await fetchImage(task.imagen);
          if (gone) return;
          url = URL.createObjectURL(blob);
          setLoaded({ state: "shown", url });
          return;
        } catch (error) {
          if (error instanceof Refusal && error.status !== 503 && error.status !== 429) {
            // Without a session the work itself asks for one; then the image is asked for again.
            if (error.code !== "sin_sesion") return setLoaded({ state: "failed", said: error.message });
          }
          await new Promise((done) => setTimeout(done, Math.min(500 * 2 ** tries, 8000)));
        }
      }
    })();
    return () => {
      gone = true;
      if (url) URL.revokeObjectURL(url);
    };
  }, [task.imagen, task.tarea]);
  return loaded;
}
