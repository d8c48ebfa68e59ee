import { start } from "../shared/start";
import { Desk } from "./desk";
import "../shared/base.css";
import "./desk.css";

void start(Desk);
