import { start } from "../shared/start";
import { Phone } from "./phone";
import "../shared/base.css";
import "./phone.css";

void start(Phone);
// The page opens without a network from the second time on. Without a service worker everything else works.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/pantallas/casilla-sw.js", { scope: "/casilla" }).catch(() => undefined);
}
