import { start } from "../shared/start";
import { Terminal } from "./terminal";
import "../shared/base.css";
import "./terminal.css";

void start(Terminal);
