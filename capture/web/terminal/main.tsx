import { start } from "../shared/start";
import { Terminal } from "./terminal";
import "../shared/base.css";

void start(Terminal);
