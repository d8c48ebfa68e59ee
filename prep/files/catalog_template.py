"""The format of the catalogue told to an institute, and a small catalogue of one's own to begin with.

`docs/catalogue.md` is what `catalog_format` writes, from the tables of `catalog_files.py`; a test compares the two.
"""

from collections.abc import Mapping
from typing import Final

from prep.domain.catalog import Ambito, Clase, Nivel, TipoCasilla
from prep.files.catalog_columns import CASILLA_KINDS, COLUMNS, DIGITOS, MAX_TERRITORY, OPTIONAL_COLUMNS, OPTIONAL_FILES
from prep.files.catalog_files import write_catalog
from prep.files.catalog_warnings import WARNINGS

FORMAT_NAME: Final = "FORMATO.md"
"""The format, beside the sample."""

_LEVELS: Final = (Nivel.PAIS, Nivel.ENTIDAD, Nivel.DISTRITO, Nivel.MUNICIPIO)

_FILES: Final[Mapping[str, str]] = {
    "elecciones.csv": "Qué se vota esa noche: un renglón por elección.",
    "territorios.csv": "Entidades, distritos, municipios y otros territorios que eligen: un renglón por territorio.",
    "casillas.csv": (
        "Todas las casillas aprobadas, un renglón por casilla. Cada casilla da un acta por elección. Lleva una columna "
        "más por cada tipo de territorio que no está abajo: su número, o 0 o vacío si no pertenece a ninguno."
    ),
    "opciones.csv": (
        "Los renglones de la boleta de cada elección, uno por partido, combinación de coalición, candidatura común o "
        "independiente, más las no registradas y los nulos. Cada opción es una columna del archivo oficial."
    ),
    "contiendas.csv": (
        "Dónde se elige cada cargo y qué opciones trae la boleta de ese lugar. Si una elección no aparece aquí, hay "
        "una contienda por territorio, con todas las opciones. Si aparece, deben estar todas sus contiendas."
    ),
    "candidaturas.csv": (
        "Las personas, y las opciones que cuentan para cada una. Una candidatura de coalición nombra sus partidos y "
        "todas sus combinaciones. Puede llevar solo el encabezado."
    ),
    "actas.csv": "Lo que un acta tiene distinto de su casilla y su elección. Una celda vacía no cambia nada.",
    "sitios.csv": (
        "Los CATD y CCV en que hay personas o dispositivos. La lista es cerrada: `prep user add` y "
        "`prep device enroll` rechazan los demás. Sin este archivo vale la lista que ya tiene la base de datos; una "
        "nueva trae CATD-1, CATD-2, CCV-1 y CCV-2."
    ),
}

_CELLS: Final[Mapping[str, Mapping[str, str]]] = {
    "elecciones.csv": {
        "codigo": "Código corto, que va en nombres de archivo y direcciones: `GOB`, `DIP_LOC`.",
        "titulo": "Nombre de la elección, como se publica.",
        "anio": "Año, de 1990 a 2200.",
        "ambito": f"Uno de: {', '.join(Ambito)}. Dice qué distrito llevan sus archivos.",
        "nivel": f"Dónde se elige el cargo: {', '.join(_LEVELS)}, o el tipo de territorio que lo elige.",
        "reglas": "Nombre del conjunto de reglas: uno conocido, como `ine-2023`, o uno propio de la carpeta `reglas`.",
        "candidatura": "El campo `tipo_candidatura` del QR: hasta 12 letras mayúsculas o cifras.",
        "tipo_acta": (
            "El campo `tipo_acta` del QR. Junto con `candidatura` distingue una elección de otra en el mismo lugar."
        ),
        "tipo_acta_especial": "El de las casillas especiales (S), si es otro.",
        "tipo_acta_extranjero": "El del voto desde el extranjero (M), si es otro.",
        "sufijo": "Lo que CLAVE_ACTA lleva después de CLAVE_CASILLA; vacío: `tipo_acta`.",
        "sufijo_especial": "El de las casillas especiales (S), si es otro.",
        "sufijo_extranjero": "El del voto desde el extranjero (M), si es otro.",
    },
    "territorios.csv": {
        "tipo": f"Uno de: entidad, {', '.join(CASILLA_KINDS)}; u otro que elija, con columna en casillas.csv.",
        "entidad": "Número de la entidad federativa, de 1 a 99.",
        "id": f"Número del territorio, de 1 a {MAX_TERRITORY}; el de una entidad es el mismo de `entidad`.",
        "nombre": "Nombre, como se publica.",
    },
    "casillas.csv": {
        "entidad": "Número de la entidad.",
        "distrito_federal": "Número del distrito federal; 0 o vacío si no pertenece a ninguno.",
        "distrito_local": "Número del distrito local; 0 o vacío si no pertenece a ninguno.",
        "municipio": "Número del municipio; 0 o vacío si no pertenece a ninguno.",
        "seccion": "Sección; 0 o vacío solo en los tipos que pueden no tenerla: M, P, V, A.",
        "tipo": "B básica, C contigua, E extraordinaria, S especial, M extranjero, P y V prisión preventiva, "
        "A voto anticipado, U urna electrónica.",
        "numero": "Número de la casilla entre las de su tipo, hasta 99.",
        "ext_contigua": "Número de la contigua de una extraordinaria; 0 en las demás.",
        "ubicacion": "1 urbana, 2 no urbana.",
        "lista_nominal": "Personas en la lista nominal; 0 en las especiales.",
        "representantes": "Representantes acreditados que pueden votar ahí. El límite de votos es la suma de los dos.",
        "boletas_maximas": "Máximo de boletas, para una lista nominal de 0. Vacío: sin límite. "
        "En B, C y E, solo 0: ahí el límite es la lista.",
        "digitos": f"Cuántos recuadros tiene cada cantidad del acta, de 1 a 7; vacío: {DIGITOS}.",
        "elecciones": "Códigos de las elecciones que se votan ahí, separados por espacio; vacío: todas.",
        "lugar": "Nombre del lugar en que se instala: una escuela, una oficina. Se publica en «Encuentra tu casilla».",
        "direccion": "Domicilio de ese lugar. Se publica en «Encuentra tu casilla».",
    },
    "opciones.csv": {
        "eleccion": "Código de la elección.",
        "orden": "Lugar en la boleta, sin repetir en una elección.",
        "codigo": "Nombre de la columna en el archivo oficial: `PAN`, `PAN-PRI`, `NULOS`.",
        "clase": f"Una de: {', '.join(Clase)}. Una elección tiene una sola de `nulos` y a lo más una de "
        "`no_registradas`.",
        "partidos": "Los partidos que une una `coalicion` (al menos dos) o una `comun`, por código y separados por "
        "espacio. Los votos de una `coalicion` se reparten entre ellos; los de una `comun`, no.",
        "nombre": "Nombre para el público; vacío: el código.",
        "color": "Color del partido, como `#1A7F37`. Se guarda; no se publica.",
        "emblema": "Nombre del archivo de su emblema: PNG, SVG, JPG o WEBP, sin carpeta. Se guarda; no se publica.",
    },
    "contiendas.csv": {
        "eleccion": "Código de la elección.",
        "entidad": "Número de la entidad; 0 o vacío si la contienda es de todo el país.",
        "territorio": "Número del territorio que elige; 0 o vacío si la contienda es de toda la entidad o del país.",
        "nombre": "Nombre de la contienda; vacío: el de su territorio.",
        "opciones": "Las opciones de su boleta, por código y separadas por espacio; vacío: todas. "
        "Debe incluir los nulos.",
        "votos_por_boleta": "Cuántos votos lleva una boleta, de 1 a 100: varios en una elección judicial; vacío: 1. "
        "El límite de votos de un acta se multiplica por este número.",
    },
    "candidaturas.csv": {
        "eleccion": "Código de la elección.",
        "entidad": "De la contienda, como en contiendas.csv.",
        "territorio": "De la contienda, como en contiendas.csv.",
        "opciones": "Las opciones cuyos votos cuentan para esta candidatura, separadas por espacio.",
        "propietaria": "Nombre de la persona propietaria.",
        "suplente": "Nombre de la persona suplente.",
    },
    "actas.csv": {
        "eleccion": "Código de la elección.",
        "clave_casilla": "Entidad (2 cifras), sección (4), tipo (1 letra), número (2), contigua (2): `330001B0100`.",
        "tipo_acta": "El campo `tipo_acta` de su QR, si es otro.",
        "sufijo": "El final de su CLAVE_ACTA, si es otro.",
        "lista_nominal": "Su lista nominal, si es otra.",
        "representantes": "Sus representantes, si son otros.",
        "boletas_maximas": "Su máximo de boletas, si es otro.",
        "digitos": "Sus recuadros por cantidad, si son otros.",
    },
    "sitios.csv": {
        "clave": "Clave corta: `CATD-1`, `CCV-1`. Dos que se dirían igual, como `CATD-1` y `CATD-01`, son un error.",
        "nombre": "Nombre o domicilio del sitio.",
    },
}

_HEAD: Final = """\
# El catálogo

Lo escribe `prep catalog template`, desde el código; una prueba lo compara.

El catálogo es lo que se espera de la noche: elecciones, boletas, casillas, y un acta por casilla y elección. Son
archivos CSV en una carpeta. Para empezar:

```
prep catalog template mi-eleccion     # escribe un ejemplo completo, y este texto como FORMATO.md
prep catalog check mi-eleccion        # dice todo lo que está mal y lo que es raro, y un resumen
prep night check mi-eleccion          # dice los horarios en palabras, y lo que no puede ser
prep night init mi-eleccion           # declara la noche y carga el catálogo, entero o nada
```

El ejemplo es una elección de un estado que no existe: una gubernatura con una coalición, y ayuntamientos con una
candidatura común y dos boletas distintas. Se carga tal como está. Cambie los renglones, no los encabezados, y revise
cada vez.

- Texto UTF-8 separado por comas, con o sin BOM y con cualquier fin de línea. Se entiende lo que Excel hace a los
  números (`="0001"`, `'0001`, `4,778`).
- Las columnas van en cualquier orden. Las que no son obligatorias pueden faltar; una celda vacía significa lo mismo.
- Los códigos llevan letras, cifras, guiones, puntos y `&`, sin espacios. Un texto no empieza con `=`, `+`, `-` ni `@`.
- Lo que se vota en todo el estado tiene `nivel` *entidad*; por distrito, *distrito*; por municipio, *municipio*;
  por otro territorio, el nombre de su tipo (abajo).
- Después del corte 0 el catálogo no cambia: su huella va en cada manifiesto y en la primera hoja de la bitácora.
  Antes, mientras la bitácora no comience, lo sustituyen dos personas con rol de administrador o supervisor:
  `prep catalog load CARPETA --replace --by USUARIO --with USUARIO`. Cada una escribe su clave.
- Antes del corte 0 se publica lo que se espera, en `catalogo/` (docs/tree.md): elecciones, boletas, contiendas,
  candidaturas, y cada acta con su lista nominal. Los sitios no se publican; los lugares de las casillas, en las
  páginas. De cada archivo de esta carpeta se publica la huella, para compararlo con el que se cargó: guárdelos como
  los cargó.
- Las siglas, las horas, el intervalo y si es un simulacro van en `noche.toml`, de la misma carpeta.
- Los conjuntos de reglas se explican en `docs/rules.md`; `prep rules list` dice cuáles se conocen.

## noche.toml

La noche, declarada una sola vez: si es un simulacro o la noche real, las siglas, el instituto, la zona horaria, el
inicio, el fin, el intervalo y la bitácora. Cada línea se explica en el ejemplo. No es parte de la huella del catálogo:
tiene la suya, que va también en cada manifiesto y en la primera hoja de la bitácora. `prep night init` dice los
horarios en palabras y espera a que una persona los confirme. `prep catalog load` carga solo el catálogo.

- Se niega lo que no puede ser: un fin anterior al inicio, una hora que ya pasó o sin su desfase, una zona que no es la
  de la entidad.
- Desde el corte 0 no cambia. `prep night reset` comienza otra vez un simulacro; una noche real no se repite.
- Las variables `PREP_*` son de una máquina (direcciones, secretos, carpetas) y no dicen nada de la noche.

## Juntas municipales, comunidades, demarcaciones

Un cargo se elige también por junta municipal, comunidad, demarcación u otro territorio que tenga su instituto. El tipo
de territorio se nombra con minúsculas sin acento, cifras y guiones bajos, y está en tres archivos: en `nivel` de
elecciones.csv, en `tipo` de territorios.csv (con un renglón por territorio), y como una columna más de casillas.csv. Si
el número se repite en cada municipio, póngale antes el del municipio: 1701 es la demarcación 1 del municipio 17.

```
elecciones.csv     JUN,Juntas municipales,2027,local,junta_municipal,…
territorios.csv    junta_municipal,33,4,Villa Encino
casillas.csv       entidad,…,municipio,junta_municipal,seccion,…
                   33,…,2,4,15,…
```
El archivo oficial lleva entonces las columnas `ID_JUNTA_MUNICIPAL` y `JUNTA_MUNICIPAL`. Una casilla sin junta no vota
en esa elección: sus `elecciones` son las otras.

## reglas/NOMBRE.toml

Un conjunto de reglas propio de la elección: criterios, textos de OBSERVACIONES e interruptores. Puede ser también
`reglas/NOMBRE.json`. La carpeta puede faltar. El archivo se llama como el conjunto, y elecciones.csv lo nombra en
`reglas`. Un conjunto propio no puede llamarse como uno conocido. El catálogo lleva el archivo en su huella, y cada
manifiesto publica el conjunto entero.

```
prep rules list                                                      # los conjuntos conocidos
prep rules new mis-reglas --file mi-eleccion/reglas/mis-reglas.toml  # un borrador con explicaciones
prep rules check mi-eleccion/reglas/mis-reglas.toml                  # todos sus errores
```

## formatos/NOMBRE.json

El formato impreso de las actas, para que la pantalla de captura muestre el renglón de cada campo. La carpeta puede
faltar: entonces cada persona ve la imagen entera. El catálogo lleva el archivo en su huella. Es un objeto con:

- `eleccion`: el código de la elección cuyas actas se imprimen así.
- `entidad` y `territorio`, si el formato es de una sola contienda; van como en contiendas.csv. Uno así cuenta antes que
  el de toda la elección.
- `cuadros`: los cuatro cuadros negros de las esquinas, en el orden arriba izquierda, arriba derecha, abajo derecha,
  abajo izquierda.
- `marcas`: los centros de las marcas redondas y oscuras, de 2 a 4 mm, que hay a los extremos de los renglones; de 12 a
  200.
- `campos`: el renglón de cada cantidad, por su código. Son los de opciones.csv, `BOLETAS_SOBRANTES`,
  `PERSONAS_VOTARON`, `REPRESENTANTES_VOTARON`, `VOTOS_SACADOS` y `TOTAL_ASENTADO`. Los que falten se ven en la imagen
  entera.

Las medidas son milímetros desde la esquina superior izquierda de la hoja. Un cuadro y un renglón son `[izquierda,
arriba, derecha, abajo]`; una marca es `[izquierda, arriba]`. El renglón abarca la letra y los recuadros del número.

```
{"eleccion": "GOB",
 "cuadros": [[5, 6, 15, 16], [415, 6, 425, 16], [415, 261, 425, 271], [5, 261, 15, 271]],
 "marcas": [[170.1, 34.9], [279.3, 34.9], [170.1, 44.3], [279.3, 44.3], …],
 "campos": {"ABETO": [145.2, 34.9, 279.3, 44.3], …}}
```

`docs/examples/formato-presidencia-2024.json` describe el acta de la presidencia de 2024. Un renglón se muestra solo si
sus marcas se hallaron en la fotografía. Describa todos los formatos de la noche: así no se confunde uno con otro.

## mapas/TIPO.geojson

El mapa de un tipo de territorio, para la página de las elecciones que eligen en muchos lugares: `municipio.geojson`,
`distrito_local.geojson`, o el de cualquier `tipo` de territorios.csv. La carpeta puede faltar: entonces la página
muestra un cuadro por lugar. El catálogo lleva el archivo en su huella. Es una FeatureCollection de GeoJSON:

- un elemento por territorio de ese tipo, ni más ni menos; en `properties`, `entidad` e `id` como en territorios.csv;
- geometría Polygon o MultiPolygon, con sus huecos y sus islas; ningún contorno se cruza;
- grados WGS84, primero la longitud; hasta 32 MB, y hasta 600 territorios en un mapa.

El mapa se simplifica una sola vez, al cargar el catálogo, y las orillas de dos vecinos siguen siendo la misma línea si
lo eran en el archivo. Para eso la máquina que lo carga necesita el extra `maps` (`pip install 'prep-abierto[maps]'`);
sin él no se dibuja, y un aviso lo dice.

## Errores, avisos y resumen

Un **error** impide la carga. Cada causa se dice una vez, con su archivo, línea y columna, y con las demás líneas que la
repiten. Un renglón recorrido es un solo error.

Un **aviso** es algo posible pero raro. `check` lo dice y termina bien. `load` no carga hasta que alguien lo revisa y
repite la orden con `--accept-warnings`; la base de datos guarda cuáles se aceptaron y cuándo.

{warnings}

El **resumen** de `check` se compara con los acuerdos en papel: casillas por tipo; lista nominal por distrito o
municipio; cada boleta con sus opciones en orden; los totales.
"""


def catalog_format() -> str:
    """The whole format in Spanish, as Markdown. Raises KeyError for a column that nobody described."""
    warnings = [f"| {code} | {meaning} |\n" for code, meaning in WARNINGS.items()]
    parts = [_HEAD.replace("{warnings}\n", "| aviso | qué dice |\n|---|---|\n" + "".join(warnings))]
    for file, columns in COLUMNS.items():
        parts += [f"## {file}\n\n{_FILES[file]}{' Puede faltar.' if file in OPTIONAL_FILES else ''}\n"]
        optional = OPTIONAL_COLUMNS.get(file, frozenset())
        rows = [
            f"| `{column}` | {'no' if column in optional else 'sí'} | {_CELLS[file][column]} |\n" for column in columns
        ]
        parts += ["| columna | obligatoria | qué lleva |\n|---|---|---|\n" + "".join(rows)]
    return "\n".join(parts)


def sample_catalog() -> dict[str, bytes]:
    """A state that does not exist: a coalition for governor, a joint candidacy and two ballots for town councils."""
    parties, rest = "ABETO CEDRO ENCINO FRESNO NOGAL", "NO_REGISTRADAS NULOS"
    colours = ("#1A7F37", "#8B4513", "#C9A227", "#1F5FBF", "#B3261E")
    plain = [
        (party, Clase.PARTIDO, "", f"Partido {party.title()}", colour, f"{party.lower()}.png")
        for party, colour in zip(parties.split(), colours, strict=True)
    ]
    last = [
        ("NO_REGISTRADAS", Clase.NO_REGISTRADAS, "", "Candidaturas no registradas", "", ""),
        ("NULOS", Clase.NULOS, "", "Votos nulos", "", ""),
    ]
    alliance = [("ABETO-CEDRO", Clase.COALICION, "ABETO CEDRO", "Coalición Abeto y Cedro", "", "")]
    joint = [
        ("FRESNO-NOGAL", Clase.COMUN, "FRESNO NOGAL", "Candidatura común Fresno y Nogal", "", ""),
        ("CAND_IND_1", Clase.INDEPENDIENTE, "", "Candidatura independiente", "", ""),
    ]
    school = ("Escuela Primaria Ejemplo", "Calle Dos 2, Centro")
    ballots = {"GOB": [*plain, *alliance, *last], "AYUN": [*plain, *joint, *last]}
    return write_catalog(
        {
            "elecciones.csv": [
                (
                    "GOB",
                    "Gubernatura",
                    2027,
                    Ambito.LOCAL,
                    Nivel.ENTIDAD,
                    "ine-2023",
                    "1",
                    "1",
                    None,
                    None,
                    "01",
                    "",
                    "",
                ),
                ("AYUN", "Ayuntamientos", 2027, Ambito.LOCAL, Nivel.MUNICIPIO, "ine-2023", "1", "3", *[None] * 5),
            ],
            "territorios.csv": [
                ("entidad", 33, 33, "Ejemplo"),
                ("distrito_federal", 33, 1, "Distrito federal 1"),
                ("distrito_local", 33, 1, "Distrito local 1"),
                ("municipio", 33, 1, "Villa Abeto"),
                ("municipio", 33, 2, "Villa Nogal"),
            ],
            "casillas.csv": [
                (33, 1, 1, 1, 1, TipoCasilla.BASICA, 1, 0, 1, 612, 10, None, None, None, *school),
                (33, 1, 1, 1, 1, TipoCasilla.CONTIGUA, 1, 0, 1, 611, 10, None, None, None, *school),
                (33, 1, 1, 2, 2, TipoCasilla.BASICA, 1, 0, 2, 487, 8, None, None, None, None, None),
                (33, 1, 1, 2, 2, TipoCasilla.EXTRAORDINARIA, 1, 0, 2, 204, 6, None, None, None, None, None),
                (33, 1, 1, 2, 2, TipoCasilla.ESPECIAL, 1, 0, 1, 0, 6, 1000, 4, "GOB", "Terminal", "Avenida Uno 1"),
            ],
            "opciones.csv": [
                (election, place, *option)
                for election, options in ballots.items()
                for place, option in enumerate(options, 1)
            ],
            "contiendas.csv": [
                ("GOB", 33, None, "Ejemplo", None, None),
                ("AYUN", 33, 1, "Villa Abeto", f"{parties} FRESNO-NOGAL {rest}", None),
                ("AYUN", 33, 2, "Villa Nogal", f"ABETO CEDRO FRESNO NOGAL FRESNO-NOGAL CAND_IND_1 {rest}", None),
            ],
            "candidaturas.csv": [
                ("GOB", 33, None, "ABETO CEDRO ABETO-CEDRO", "Ana Ejemplo", "Beatriz Ejemplo"),
                ("GOB", 33, None, "ENCINO", "Carlos Ejemplo", "Diego Ejemplo"),
                ("GOB", 33, None, "FRESNO", "Irene Ejemplo", "Julia Ejemplo"),
                ("GOB", 33, None, "NOGAL", "Karla Ejemplo", "Laura Ejemplo"),
                ("AYUN", 33, 1, "ABETO", "Mario Ejemplo", None),
                ("AYUN", 33, 1, "CEDRO", "Norma Ejemplo", None),
                ("AYUN", 33, 1, "ENCINO", "Omar Ejemplo", None),
                ("AYUN", 33, 1, "FRESNO NOGAL FRESNO-NOGAL", "Elena Ejemplo", "Flor Ejemplo"),
                ("AYUN", 33, 2, "ABETO", "Paula Ejemplo", None),
                ("AYUN", 33, 2, "CEDRO", "Quirino Ejemplo", None),
                ("AYUN", 33, 2, "FRESNO NOGAL FRESNO-NOGAL", "Gabriel Ejemplo", None),
                ("AYUN", 33, 2, "CAND_IND_1", "Hilda Ejemplo", None),
            ],
            "actas.csv": [("AYUN", "330002E0100", None, None, 200, None, None, None)],
            "sitios.csv": [
                ("CATD-1", "Consejo Municipal, Centro"),
                ("CATD-2", "Consejo Municipal, Norte"),
                ("CCV-1", "Centro de captura de la capital"),
            ],
        }
    )
