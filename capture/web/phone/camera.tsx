// The camera of the phone with a live picture, where a browser gives it: advice on each frame, and a still as large as it can.
//
// Everywhere else, and if anything here fails, the photograph comes from the phone's own camera application.
import { useEffect, useRef, useState } from "preact/hooks";
import { mark, t } from "../shared/texts";
import { adviceOnFrame } from "./look";

const LOOK_MS = 700;
/** How long a still may take, in ms. Some phones never answer: then the frame that is shown is the photograph. */
const PATIENCE = 8_000;
const WANTED: MediaStreamConstraints = {
  audio: false,
  video: { facingMode: "environment", width: { ideal: 4096 }, height: { ideal: 3072 } },
};

const REFUSED = mark("El navegador no dio permiso a la cámara. Use la aplicación de cámara del teléfono.");
const FAILED = mark("La cámara no se pudo abrir aquí. Use la aplicación de cámara del teléfono.");

/** Not in lib.dom: https://www.w3.org/TR/image-capture/ */
interface Still {
  takePhoto: (how?: { imageWidth: number; imageHeight: number }) => Promise<Blob>;
  getPhotoCapabilities: () => Promise<{ imageWidth?: { max: number }; imageHeight?: { max: number } }>;
}
declare const ImageCapture: { new (track: MediaStreamTrack): Still } | undefined;

export const hasCamera = (): boolean => typeof navigator.mediaDevices?.getUserMedia === "function";

interface Props {
  /** A photograph, and null if the person took none. `said` is a sentence if there is no camera. */
  onDone: (photo: File | null, said?: string) => void;
}

export function Camera({ onDone }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [track, setTrack] = useState<MediaStreamTrack | null>(null);
  const [advice, setAdvice] = useState<string[]>([]);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    let stream: MediaStream | null = null;
    let gone = false;
    let timer = 0;
    const stop = (): void => stream?.getTracks().forEach((each) => each.stop());
    // A camera that nobody looks at is closed: other applications of the phone need it.
    const hidden = (): void => {
      if (document.visibilityState === "hidden") onDone(null);
    };
    document.addEventListener("visibilitychange", hidden);
    void (async () => {
      try {
        stream = await navigator.mediaDevices.getUserMedia(WANTED);
        if (gone) return stop();
        const [found] = stream.getVideoTracks();
        found!.addEventListener("ended", () => onDone(null, t(FAILED)));
        video.current!.srcObject = stream;
        await video.current!.play();
        setTrack(found!);
        // A timer may still come when the picture has left the page.
        const look = (): void => {
          if (gone || !video.current) return;
          setAdvice(adviceOnFrame(video.current));
          timer = setTimeout(look, LOOK_MS);
        };
        look();
      } catch (error) {
        stop();
        if (!gone) onDone(null, t((error as DOMException).name === "NotAllowedError" ? REFUSED : FAILED));
      }
    })();
    return () => {
      gone = true;
      clearTimeout(timer);
      stop();
      document.removeEventListener("visibilitychange", hidden);
    };
  }, []);

  async function shoot(): Promise<void> {
    setBusy(true);
    try {
      onDone(asFile(await largest(track!, video.current!)));
    } catch {
      onDone(null, t(FAILED));
    }
  }

  return (
    <main class="camera">
      <h1 class="visually-hidden">{t("Cámara")}</h1>
      <div class="seen">
        <video ref={video} class={track ? "open" : ""} playsInline muted aria-label={t("Lo que ve la cámara")} />
      </div>
      <div class="shutter">
        <div class={advice.length ? "advice warn" : "advice"} role="status">
          {!track && <p>{t("Abriendo la cámara…")}</p>}
          {track && !advice.length && (
            <>
              <p class="upright">{t("Acueste el teléfono.")}</p>
              <p>{t("Toda el acta dentro del marco, con sus cuatro esquinas.")}</p>
            </>
          )}
          {advice.map((each) => (
            <p key={each}>{t(each)}</p>
          ))}
        </div>
        <button class="plain" type="button" disabled={busy} onClick={() => onDone(null)}>{t("Cerrar")}</button>
        <button class="primary" type="button" disabled={!track || busy} onClick={() => void shoot()}>
          {busy ? t("Tomando…") : t("Tomar la foto")}
        </button>
      </div>
    </main>
  );
}

function asFile(photo: Blob): File {
  const ending = photo.type === "image/png" ? "png" : "jpg";
  return new File([photo], `acta.${ending}`, { type: photo.type });
}

/** The bytes of the camera itself, at its largest size; or the frame that is shown, if that has more pixels. */
async function largest(track: MediaStreamTrack, video: HTMLVideoElement): Promise<Blob> {
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), PATIENCE));
  const still = await Promise.race([stillOf(track).catch(() => null), late]);
  if (still) {
    const seen = await createImageBitmap(still).catch(() => null);
    if (seen) {
      const enough = seen.width * seen.height >= video.videoWidth * video.videoHeight;
      seen.close();
      if (enough) return still;
    }
  }
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")!.drawImage(video, 0, 0);
  return new Promise((resolve, reject) =>
    canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no frame"))), "image/jpeg", 0.95),
  );
}

async function stillOf(track: MediaStreamTrack): Promise<Blob | null> {
  if (typeof ImageCapture === "undefined") return null;
  const camera = new ImageCapture(track);
  const { imageWidth, imageHeight } = await camera.getPhotoCapabilities().catch(() => ({ imageWidth: undefined, imageHeight: undefined }));
  const size = imageWidth?.max && imageHeight?.max ? { imageWidth: imageWidth.max, imageHeight: imageHeight.max } : undefined;
  return camera.takePhoto(size);
}
