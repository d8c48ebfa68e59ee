// Sends the photographs, one after another, for ever: while the page is open, and again at each opening.
//
// tus in pieces of 256 KB, each with its checksum. What the server told as kept is not sent again. A number is a
// photograph's until it has its receipt; if the server refuses the picture for what it is, the number is free again.
import { type DetailedError, Upload } from "tus-js-client";
import { mark } from "../shared/texts";
import { alone, announce, forgetNumber, original, pictures, type Picture, type Enrolment, update } from "./store";
import { receiptIsRight, sha256Base64, signedHeaders, textOf } from "./signed";

const PIECE = 256 * 1024;
const SMALLEST = 32 * 1024;
/** How long one piece may take, in ms. A line that is dead looks like a slow one. */
const PATIENCE = 45_000;
const WAITS = [2, 5, 10, 20, 30];
const NUMBER_TAKEN = new Set(["numero_ya_usado", "numero_adelantado"]);
/** Refusals that another try may not meet: the picture keeps its number. */
const PASSING = new Set([401, 404, 408, 409, 412, 425, 429, 460]);

export const WRONG_RECEIPT = mark("El acuse que llegó no es de esta foto, o no lo firmó el servidor. Avise a su supervisor.");
export const GONE = mark("La foto ya no está en este teléfono: alguien borró sus datos.");
export const NO_LINE = mark("Sin conexión: se envía sola cuando vuelva la red.");

export interface Told {
  /** A record has changed. */
  changed: () => void;
  /** Bytes of the picture that is on its way. */
  progress: (id: number, sent: number) => void;
}

export class Sender {
  private stopped = false;
  private wake: () => void = () => undefined;
  private piece = PIECE;
  /** Numbers that the server says are of other images. */
  private readonly spent = new Set<number>();

  constructor(
    private readonly device: Enrolment,
    private readonly told: Told,
  ) {}

  stop(): void {
    this.stopped = true;
    this.wake();
  }

  /** Something changed: a new photograph, or the network is back. */
  hurry = (): void => this.wake();

  /** Of two open pages one sends. */
  run = (): Promise<void> => alone("prep-envio", () => this.loop());

  private async loop(): Promise<void> {
    let failed = 0;
    while (!this.stopped) {
      const next = (await pictures()).find((each) => each.confirmed && (each.mark === "guardada" || each.mark === "enviada"));
      if (!next) {
        await this.pause(60);
        failed = 0;
        continue;
      }
      if (await this.send(next)) failed = 0;
      else await this.pause(WAITS[Math.min(failed++, WAITS.length - 1)]!);
    }
  }

  private pause(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One try. Whether something came of it: a receipt, or a refusal that is final. */
  private async send(picture: Picture): Promise<boolean> {
    const id = picture.id!;
    const content = await original(picture.sha256);
    if (!content) {
      await update(id, { mark: "rechazada", said: GONE });
      this.told.changed();
      return true;
    }
    const sign = (each: Picture, number: number) => signedHeaders(this.device, each, number);
    const announced = await announce(id, sign, this.spent);
    const number = announced.number!;
    try {
      const receipt = await this.upload(announced, content, announced.headers!);
      await update(id, { mark: "enviada" });
      if (!receipt || !(await receiptIsRight(receipt, picture, this.device.llave_de_acuses))) {
        await update(id, { said: WRONG_RECEIPT });
        return false;
      }
      await update(id, { mark: "acuse", receipt, said: "" });
      return true;
    } catch (error) {
      return await this.refused(id, number, error);
    } finally {
      this.told.changed();
    }
  }

  private upload(picture: Picture, content: ArrayBuffer, headers: Record<string, string>): Promise<string> {
    return new Promise((resolve, reject) => {
      let receipt = "";
      const upload = new Upload(new Blob([content]), {
        endpoint: "/v1/uploads",
        ...(picture.upload ? { uploadUrl: picture.upload } : {}),
        headers,
        chunkSize: this.piece,
        retryDelays: [0, 500],
        storeFingerprintForResuming: false,
        // The loop around it tries again; here only what another request mends at once.
        onShouldRetry: (error) => error.originalResponse?.getStatus() === 409 && codeOf(error) === "posicion_no_corresponde",
        onUploadUrlAvailable: () => void update(picture.id!, { upload: new URL(upload.url!, location.href).pathname }),
        onBeforeRequest: async (request) => {
          (request.getUnderlyingObject() as XMLHttpRequest).timeout = PATIENCE;
          if (request.getMethod() !== "PATCH") return;
          const from = Number(request.getHeader("Upload-Offset"));
          const piece = content.slice(from, Math.min(from + this.piece, content.byteLength));
          request.setHeader("Upload-Checksum", `sha256 ${await sha256Base64(piece)}`);
        },
        onAfterResponse: (_, response) => {
          const said = response.getHeader("X-PREP-Receipt");
          if (said) receipt = textOf(said);
        },
        onProgress: (sent) => this.told.progress(picture.id!, sent),
        onError: reject,
        onSuccess: () => resolve(receipt),
      });
      upload.start();
    });
  }

  private async refused(id: number, number: number, error: unknown): Promise<boolean> {
    const response = (error as DetailedError).originalResponse;
    const status = response?.getStatus() ?? 0;
    if (status === 0 || status >= 500) {
      // Half of a piece with a checksum is lost: on a line that breaks often, smaller ones come through.
      if (status === 0) this.piece = Math.max(SMALLEST, this.piece / 2);
      await update(id, { said: status ? sentenceOf(error) : NO_LINE });
      return false;
    }
    const code = codeOf(error);
    if (NUMBER_TAKEN.has(code)) {
      this.spent.add(number);
      await forgetNumber(id, {});
      return true;
    }
    if (PASSING.has(status)) {
      await update(id, { said: sentenceOf(error) });
      return false;
    }
    await forgetNumber(id, { mark: "rechazada", said: sentenceOf(error) });
    return true;
  }
}

function said(error: unknown): { error?: string; codigo?: string } {
  try {
    return JSON.parse((error as DetailedError).originalResponse?.getBody() ?? "") as { error?: string; codigo?: string };
  } catch {
    return {};
  }
}

const codeOf = (error: unknown): string => said(error).codigo ?? "";
const sentenceOf = (error: unknown): string => said(error).error ?? NO_LINE;
