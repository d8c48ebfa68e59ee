// Builds the screens into dist/, the same bytes for the same source: `npm run build`.
//
// 1. shared/openapi.ts is written from docs/openapi.json: the client knows every path, body and answer.
// 2. texts/LANGUAGE/*.po become dist/texts-LANGUAGE.json; a text without its translation stops the build.
// 3. esbuild makes one script and one style sheet of each screen; its page is written here and holds no inline script.
import { createHash } from "node:crypto";
import { build } from "esbuild";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeApi } from "./api.mjs";
import { catalogues } from "./texts.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const dist = process.env.PREP_WEB_DIST ?? join(here, "dist");

// The folder of the source, the name of its files and of its address, and the title of its page.
const SCREENS = [
  { folder: "terminal", name: "terminal", title: "Captura de actas" },
  { folder: "desk", name: "mesa", title: "Mesa de supervisión" },
  { folder: "catd", name: "catd", title: "CATD" },
  { folder: "phone", name: "casilla", title: "PREP Casilla", manifest: true },
];
// Scripts that a screen loads by itself: workers.
const WORKERS = ["phone/casilla-qr.ts"];
// The service worker of a screen comes last: it names every file of the screen with its digest.
const KEEPER = { path: "phone/casilla-sw.ts", page: "/casilla", files: /^(casilla[.-]|icono|texts-)/ };

const api = describeApi(JSON.parse(readFileSync(join(here, "../../docs/openapi.json"), "utf8")));
const typed = join(here, "shared/openapi.ts");
if (!existsSync(typed) || readFileSync(typed, "utf8") !== api) writeFileSync(typed, api);

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
for (const [language, texts] of catalogues(here)) {
  writeFileSync(join(dist, `texts-${language}.json`), JSON.stringify(texts));
}
for (const name of readdirSync(join(here, "assets"))) {
  writeFileSync(join(dist, name), readFileSync(join(here, "assets", name)));
}

const screens = SCREENS.filter(({ folder }) => existsSync(join(here, folder, "main.tsx")));
const workers = WORKERS.filter((path) => existsSync(join(here, path)));
const options = {
  absWorkingDir: here,
  outdir: dist,
  bundle: true,
  minify: true,
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  target: ["chrome87", "firefox91", "safari15"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  external: ["/pantallas/*"],
};
await build({
  ...options,
  entryPoints: [
    ...screens.map(({ folder, name }) => ({ in: `${folder}/main.tsx`, out: name })),
    ...workers.map((path) => ({ in: path, out: path.replace(/^.*\//, "").replace(/\.ts$/, "") })),
  ],
});

for (const { name, title, manifest } of screens) {
  const styled = existsSync(join(dist, `${name}.css`)) ? `<link rel="stylesheet" href="/pantallas/${name}.css">\n` : "";
  const installed = manifest ? `<link rel="manifest" href="/pantallas/${name}.webmanifest">\n` : "";
  writeFileSync(
    join(dist, `${name}.html`),
    `<!doctype html>
<html lang="es-MX">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · PREP</title>
<link rel="icon" href="/pantallas/icono.svg" type="image/svg+xml">
${styled}${installed}<script type="module" src="/pantallas/${name}.js"></script>
</head>
<body>
<noscript>Esta pantalla necesita JavaScript.</noscript>
<div id="pantalla"></div>
</body>
</html>
`,
  );
}

if (existsSync(join(here, KEEPER.path))) {
  const program = join(here, "node_modules/zxing-wasm/dist/reader/zxing_reader.wasm");
  writeFileSync(join(dist, "casilla-zxing.wasm"), readFileSync(program));
  const digest = (name) => createHash("sha256").update(readFileSync(join(dist, name))).digest("hex").slice(0, 16);
  const kept = readdirSync(dist).filter((name) => KEEPER.files.test(name)).sort();
  const page = `${KEEPER.page.slice(1)}.html`;
  const files = kept.map((name) => [name === page ? KEEPER.page : `/pantallas/${name}`, digest(name)]);
  const out = KEEPER.path.replace(/^.*\//, "").replace(/\.ts$/, "");
  await build({
    ...options,
    entryPoints: [{ in: KEEPER.path, out }],
    format: "iife",
    define: { FILES: JSON.stringify(Object.fromEntries(files)) },
  });
}
