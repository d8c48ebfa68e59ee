import { start } from "../shared/start";
import { Catd } from "./catd";
import "../shared/base.css";
import "./catd.css";

void start(Catd);
