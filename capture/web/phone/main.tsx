import { start } from "../shared/start";
import { Phone } from "./phone";
import "../shared/base.css";
import "./phone.css";

void start(Phone);
// The page opens without a network from the second time on. Without a service worker everything else works.
if ("serviceWorker" in navigator) {
  // The worker that reads QR codes is a client of its own, which a browser looks up by the address of its script.
  for (const scope of ["/casilla", "/pantallas/casilla-qr.js"]) {
    navigator.serviceWorker.register("/pantallas/casilla-sw.js", { scope }).catch(() => undefined);
  }
}
