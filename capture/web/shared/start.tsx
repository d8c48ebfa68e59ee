// Starts a screen: its texts first, then the component in the page.
import { type ComponentType, render } from "preact";
import { loadTexts } from "./texts";

export async function start(Screen: ComponentType): Promise<void> {
  await loadTexts();
  render(<Screen />, document.getElementById("pantalla")!);
}
