"""The JSON Schemas of the published tree: one file for each kind of JSON in it, and one for each kind of line.

They are made from the shapes that `integrity` reads the tree with, so a schema and a verifier cannot disagree. They are
constants of a release, as `estilo.css` is: the manifest states their digests.

A schema lets a reader's program pass fields that it does not know, because a later release of the same season may add
some. The verifiers are strict: they know every field of their release.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from integrity.layout import SCHEMA_NAMES, schema_path
from integrity.leaves import OPENINGS, SHAPES
from integrity.strict_json import DIGEST, Each, Json, Later, Maybe, Text
from integrity.tree.catalogue import FORM as CATALOGUE
from integrity.tree.documents import INDEX, LISTING, MANIFEST, SUMMARY_NAMES, TOTALS
from publisher import figures as out
from publisher.official import ABOUT

VERSION: Final = "1.1"
"""Of all schemas. The first number is the format of the tree; the second grows with each addition."""
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?[+-]\d\d:\d\d", re.ASCII)
_PAGE: Final = re.compile(r"[^\s/]{1,90}(?:/[^\s/]{1,90}){0,2}\.html")


class _Told(NamedTuple):
    """A part that has no shape in `integrity`: its schema as it is."""

    schema: Json


_FIGURES: Final = _Told(
    {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}
)
_TWIN: Final = {"formato": int, "corte": int, "pagina": _PAGE, "cifras": _FIGURES}
_SHAPES: Final[Mapping[str, object]] = {
    "apertura": OPENINGS,
    "cambios": {
        "formato": int,
        "corte": int,
        "paginas": [_PAGE],
        "quitadas": [_PAGE],
        "siguiente": Maybe(re.compile(r"cambios/\d{4,}\.json", re.ASCII)),
    },
    "catalogo": CATALOGUE,
    "hoja": SHAPES,
    "index": INDEX,
    "indice": LISTING,
    "lista": {
        **_TWIN,
        "datos": [
            {
                "nombre": str,
                "acta": Later(str),
                "archivo": Later(str),
                "sha256": Later(DIGEST),
                "estado": Later(str),
                "observaciones": Later(str),
                "motivo": Later(str),
                "corte": Later(int),
                "retirada": Later(bool),
            }
        ],
    },
    "lugares": {
        "formato": int,
        "entidad": int,
        "prefijo": re.compile(r"[a-z0-9]{2,12}", re.ASCII),
        "lugares": [{"seccion": int, "municipio": str, "lugar": str, "direccion": str}],
        "sigue": re.compile(r"[a-z0-9]*", re.ASCII),
        "muchos": bool,
    },
    "manifest": MANIFEST,
    "pagina": _TWIN,
    "seccion": {
        **_TWIN,
        "datos": [
            {
                "casilla": str,
                "nombre": str,
                "lugar": Later(str),
                "direccion": Later(str),
                "actas": [
                    {
                        "eleccion": str,
                        "acta": str,
                        "estado": str,
                        "observaciones": str,
                        "pagina": Maybe(_PAGE),
                        "desde": Maybe(_MOMENT),
                    }
                ],
            }
        ],
    },
    "totals": TOTALS,
}
_TITLES: Final = {
    "apertura": "Un renglón de bitacora/aperturas/NNNN.jsonl: lo que dijo una persona, con la sal que abre su hoja",
    "cambios": "cambios/NNNN.json: las páginas que un corte escribió y quitó",
    "catalogo": "catalogo/catalogo.json: elecciones, boletas, contiendas y candidaturas, de antes de la noche",
    "hoja": "Una hoja de la bitácora (bitacora/tile/entries/)",
    "index": "index.json: cuál es el último corte",
    "indice": "lugares/indice.json: los archivos del índice de lugares, con sus huellas",
    "lista": "El JSON de una lista de actas: sin-acta, observadas, corregidas, fuera-de-catalogo",
    "lugares": "lugares/NN-LETRAS.json: lugares de casillas en cuyo nombre o domicilio hay una palabra que empieza así",
    "manifest": "cortes/NNNN/manifest.json: todo lo que hace falta para leer los renglones de un corte",
    "pagina": "El JSON de una página: sus cifras",
    "seccion": "El JSON de una sección: sus casillas y el estado de cada acta",
    "totals": "cortes/NNNN/totals.json: las sumas de un corte",
}

# By the name of a field; `document.field` or `parent.field` if the name alone has several meanings.
FIELDS: Final = {
    **{name: ABOUT[name] for name in SUMMARY_NAMES[:-1]},
    SUMMARY_NAMES[-1]: "Participación: votos de las actas contabilizadas respecto de su lista nominal.",
    "acta": "CLAVE_ACTA, que identifica el acta en su elección.",
    "actas": "Cuántas actas hay en cada estado.",
    "ambito": "federal o local.",
    "anio": "Año de la elección.",
    "anterior": "El corte anterior y la huella de su SHA256SUMS; null en el corte 0. Así los cortes forman cadena.",
    "archivo": "Nombre del archivo.",
    "archivos": "SHA-256 de cada archivo, por su nombre.",
    "bitacora": "La bitácora de la noche: quién la firma y con qué política de testigos.",
    "boleta": "Posiciones de las opciones que están en la boleta de esta contienda.",
    "bytes": "Tamaño en bytes.",
    "candidaturas": "Quiénes compiten en esta contienda.",
    "capturadas": "Actas del catálogo ya asentadas, contabilizadas o no; incluye las «sin acta».",
    "carpeta": "Carpeta del corte: cortes/NNNN.",
    "casilla": "CLAVE_CASILLA.",
    "catalogo": "SHA-256 de catalogo/SHA256SUMS; el mismo en todos los cortes.",
    "cierra_al_completar": "Si el programa termina en cuanto se capturan todas las actas.",
    "cifras": "Cada número de la página por su nombre: un entero, o un texto si es un porcentaje o una celda.",
    "clase": "Clase.",
    "clave": "Llave pública.",
    "colores": "Colores del instituto.",
    "compromiso": "SHA-256 de una sal y lo que dijo una persona; se abre en bitacora/aperturas/.",
    "contabilizadas": "Actas cuyos votos se suman (CONTABILIZADA = 1).",
    "contenido": "El contenido completo.",
    "conteos": "SHA-256 de los conteos de la puesta en ceros.",
    "contiendas": "Los lugares que eligen cada uno un cargo.",
    "correcciones": "Actas ya publicadas que este corte cambia.",
    "corte": "Número del corte, desde 0.",
    "criterio": "Motivo por el que no hay acta, como clave de texts en las reglas.",
    "datos": "Lo que la página dice en palabras, para programas.",
    "de": "De quién es la llave: dispositivo o bitacora.",
    "incidentes": "Los incidentes que el instituto ha dicho y que no han terminado.",
    "decisiones": "Lo que decidieron dos personas desde el corte anterior, y lo que deshicieron.",
    "declaracion": "Lo que el instituto declaró antes de la noche; también está en la primera hoja de la bitácora.",
    "desde": "Desde cuándo está el acta en ese estado; null si ya se publicó.",
    "deshace": "Número de la decisión que esta deshace; null si ninguna.",
    "detalle": "SHA-256 de los detalles, sin las personas.",
    "direccion": "Domicilio del lugar de la casilla; vacío o ausente si el catálogo no lo trae.",
    "dispositivo": "Identificador del dispositivo que envió la imagen.",
    "dispositivos": "Cuántos dispositivos había al comenzar, y la huella de sus llaves.",
    "documentos": "SHA-256 de la lista de documentos del acto.",
    "elecciones": "Las elecciones de la noche.",
    "eleccion": "Código de la elección.",
    "elige": "El ordinal de la captura que se eligió.",
    "ensayo": "true: una prueba que puede comenzar en el pasado.",
    "entidad": "Número de la entidad; 0 si es todo el país.",
    "esperadas": "Actas del catálogo.",
    "estado": "En qué va el acta, en palabras.",
    "excede_alone": "Si un acta que excede su límite no lleva otra observación. Si falta: false.",
    "excede_applies": "Si un acta que excede la lista nominal se deja de contabilizar.",
    "fase": "cero: antes de comenzar; en curso: durante la noche; final: el último corte.",
    "fecha_hora": "Momento, en ISO 8601 con su diferencia con UTC.",
    "fin": "Cuándo termina la noche.",
    "formato": "Versión de este contrato: 1. Quien encuentre otro número debe detenerse.",
    "fuente": "SHA-256 de cada archivo que entregó el instituto, por su nombre.",
    "fuera_de_catalogo": "Actas que no se pueden asociar a una casilla aprobada.",
    "id": "Número que la identifica.",
    "imagen": "SHA-256 de la imagen.",
    "inicio": "Cuándo comienza la noche.",
    "instituto": "El instituto que publica.",
    "intervalo_ms": "Milisegundos entre un corte y el siguiente.",
    "last_corte_with_especiales": "Si la participación del último corte incluye las casillas especiales.",
    "lista": "SHA-256 de la lista de los programas instalados.",
    "logo": "SHA-256 del logotipo; null si no hay.",
    "lugar": "Nombre del lugar de la casilla; vacío o ausente si el catálogo no lo trae.",
    "lugares": "Los lugares de casillas, con su sección.",
    "marcas": "Una letra por cantidad: N número, I ilegible, S sin dato, X no está en la boleta.",
    "mixed_without_number_counts": "Si cuenta un acta sin números que mezcla ilegible y sin dato.",
    "muchos": "true: hay demasiados lugares con esta misma palabra; busque con otra.",
    "municipio": "Nombre del municipio; vacío si el catálogo no lo trae.",
    "momento": "inicio o cierre.",
    "motivo": "Motivo.",
    "name": "Nombre del conjunto de reglas.",
    "nivel": "Quién elige: pais, entidad, distrito, u otra clase de territorio.",
    "no_contabilizadas": "Actas capturadas cuyos votos no se suman.",
    "nombre": "Nombre.",
    "numero": "Número.",
    "numeros": "Las cantidades, en el orden de las columnas; null si no es un número.",
    "observaciones": "Observaciones del acta, con sus textos.",
    "opciones": "Las opciones de la boleta.",
    "ordinal": "Cuál captura de la ronda es, desde 1.",
    "origen": "Nombre de la bitácora.",
    "pagina": "Página, desde la raíz de lo publicado; null si todavía no hay.",
    "paginas": "Páginas que este corte escribió; el JSON de cada una va con ella.",
    "partial_beside_all": "Si una observación parcial se publica junto a la que abarca todo el acta.",
    "partidos": "Posiciones de los partidos que se unen en esta opción.",
    "persona": "Seudónimo: el mismo para lo que una persona dice de un acta, y de nada más.",
    "politica": "SHA-256 de bitacora/politica.txt.",
    "porcentaje": "Porcentaje de los votos con cuatro decimales truncados.",
    "posicion": "Columna de la opción, desde 0.",
    "propietaria": "Nombre de la persona propietaria.",
    "puesta_en_ceros": "Si hay puesta en ceros antes del primer corte.",
    "quitadas": "Páginas que este corte quitó.",
    "razon": "La razón en palabras.",
    "recibida": "Cuándo se recibió la imagen.",
    "reglas": "Las reglas con que se leen las actas.",
    "resultado": "La COTEJADA a la que lleva este cotejo.",
    "resumen": "Los trece valores del archivo oficial.",
    "retirada": "true: el acta se espera otra vez.",
    "ronda": "Vuelta de captura de esta acta.",
    "sal": "La sal de la hoja.",
    "secuencia": "Número que el dispositivo dio a su envío.",
    "sha256": "SHA-256, en 64 hexadecimales en minúsculas.",
    "sha256sums": "SHA-256 del SHA256SUMS del corte.",
    "prefijo": "Con qué empieza la palabra.",
    "seccion": "Número de la sección; 0 si la casilla no pertenece a ninguna.",
    "siglas": "Siglas en los nombres de archivo.",
    "siguiente": "Cuándo toca el siguiente; null después del último.",
    "simulacro": "true: un ensayo; estos no son resultados.",
    "sin_acta": "Actas de las que no hay papel que leer.",
    "sin_acta_not_counted": "Si ACTAS_NO_CONTABILIZADAS incluye las «sin acta». Si falta: true.",
    "sigue": "Las letras que pueden seguir al prefijo; vacío si todos los lugares están aquí.",
    "sitio": "SHA-256 de los archivos que son iguales en todas las noches de una versión del programa.",
    "software": "SHA-256 de la lista de los programas instalados; null si no se hizo.",
    "suplente": "Nombre de la persona suplente; vacío si no hay.",
    "territorio": "Número del territorio en su entidad; 0 si es toda la entidad.",
    "territorios": "Sumas por territorio de los renglones; no eligen por sí mismos si nivel es otro.",
    "texto": "Texto libre.",
    "texts": "El texto de OBSERVACIONES de cada criterio; vacío si no lleva.",
    "tipo": "Clase.",
    "titulo": "Título.",
    "total": "Cuántos son.",
    "version": "Versión del conjunto de reglas.",
    "votos": "Votos por opción, de las actas contabilizadas.",
    "votos_por_boleta": "Votos que caben en una boleta. Si falta: uno.",
    "votos_por_partido": "Los mismos votos con los de las coaliciones repartidos entre sus partidos.",
    "manifest.datos": "Listas de datos limpios que salieron desde el manifiesto anterior.",
    "zip": "El corte en un solo archivo.",
    "zona": "Zona horaria, como America/Mexico_City.",
    "acto.sha256sums": "SHA-256 del SHA256SUMS del corte que el acto cita.",
    "cambios.siguiente": "Ruta del archivo de cambios del corte que sigue; null después del último.",
    "candidaturas.opciones": "Códigos de las opciones que cuentan para esta candidatura.",
    "candidaturas.votos": "Votos de la candidatura.",
    "datos.corte": "Corte del que son los datos limpios.",
    "datos.motivo": "El motivo, en palabras.",
    "datos.sha256sums": "SHA-256 de datos/NNNN/SHA256SUMS.",
    "decisiones.asunto": "De qué trata: elección y clave, SHA-256 de una imagen, mensaje, o dispositivo y número.",
    "decisiones.clase": (
        "sin_acta, imagen_de_otra_acta, fuera_de_catalogo, imagen_sin_identidad, mensaje_descartado o numero_perdido."
    ),
    "decisiones.motivo": "El código de la razón.",
    "incidentes.fecha_hora": "Cuándo lo dijo el instituto.",
    "incidentes.numero": "Su número; su hoja de la bitácora lo nombra.",
    "incidentes.texto": "Lo que dice el instituto, a lo más 280 letras.",
    "elecciones.archivo": "Nombre del CSV oficial en la carpeta del corte.",
    "elecciones.candidaturas": "Nombre del CSV de candidaturas en la carpeta del corte.",
    "elecciones.codigo": "Código de la elección; también su carpeta.",
    "elecciones.reglas": "SHA-256 de sus reglas.",
    "incidente.asunto": "De qué trata: un acta, una imagen, un mensaje, un corte, un testigo o una decisión.",
    "incidente.clase": "Clase del incidente.",
    "opciones.clase": "partido, coalicion, comun, independiente, no_registradas o nulos.",
    "opciones.codigo": "Código de la opción: el nombre de su columna.",
    "perdida.numeros": "Números de envío por los que nunca llegará imagen, como 5-9,12.",
    "seccion.actas": "El acta de cada elección en esta casilla.",
    "territorios.tipo": "Clase de territorio.",
    "version.contenido": "SHA-256 de las celdas del renglón.",
    "zip.archivo": "Ruta del ZIP desde la raíz de lo publicado.",
}
_KINDS: Final = frozenset({"hoja", "apertura"})
"""Documents of several kinds, each with its own fields."""


@cache
def schemas() -> Mapping[str, bytes]:
    """The schemas by their path in the tree."""
    return {schema_path(name): out.canonical(schema(name)) for name in SCHEMA_NAMES}


def identity(name: str) -> str:
    """The `$id` of a schema: it names the schema and its version, and is no address."""
    return f"urn:prep-abierto:esquema:{name}:{VERSION}"


def schema(name: str) -> Json:
    """The schema of one kind of JSON in the tree."""
    shape = _SHAPES[name]
    if name in _KINDS:
        assert isinstance(shape, Mapping)
        body: Json = {"anyOf": [_kind(name, kind, fields) for kind, fields in sorted(shape.items())]}
    else:
        body = _schema(shape, (name,))
        body["properties"]["formato"] |= {"const": out.FORMAT}
    return {"$schema": _DIALECT, "$id": identity(name), "title": _TITLES[name], "version": VERSION} | body


def _kind(document: str, kind: str, fields: Json) -> Json:
    """One kind of leaf or of opening. A leaf tells its kind itself; of an opening, its leaf does."""
    told = {"tipo": re.compile(kind), "numero": int} if document == "hoja" else {}
    return {"title": kind} | _schema({**told, **fields}, (kind,))


def _schema(shape: object, path: tuple[str, ...]) -> Json:
    match shape:
        case _Told(told):
            return {**told}
        case Maybe(inner):
            return {"anyOf": [_schema(inner, path), {"type": "null"}]}
        case Later(inner):
            return _schema(inner, path)
        case Each(inner):
            return {"type": "object", "additionalProperties": _schema(inner, path)}
        case dict():
            needed = sorted(key for key, inner in shape.items() if not isinstance(inner, Later))
            fields = {
                key: {"description": _about(path, key)} | _schema(inner, (*path, key)) for key, inner in shape.items()
            }
            return {"type": "object", "properties": fields, "required": needed}
        case list():
            return {"type": "array", "items": _schema(shape[0], path)}
        case Text(pattern, _) | (re.Pattern() as pattern):
            return {"type": "string"} | _pattern(pattern)
        case type():
            return _types()[shape]
    raise TypeError(shape)


def _types() -> Mapping[type, Json]:
    return {int: {"type": "integer", "minimum": 0}, str: {"type": "string"}, bool: {"type": "boolean"}}


def _pattern(pattern: re.Pattern[str]) -> Json:
    """A pattern in the words that JSON Schema has in common with Python, over the whole text."""
    text = pattern.pattern
    if re.fullmatch(r"[a-z_ ]+(\|[a-z_ ]+)*", text):
        return {"enum": text.split("|")}
    # In the regular expressions of JavaScript, \w and \d know no letter beyond ASCII; in Python they know all.
    text = text.replace(r"[^\W_]", r"[^\s_.&/-]").replace(r"[\w.&-]", r"[^\s/]").replace(r"\d", "[0-9]")
    return {"pattern": f"^(?:{text})$"}


def _about(path: tuple[str, ...], field: str) -> str:
    if path[-1] == "sitio":
        return f"SHA-256 de {field}."
    for where in (path[-1], path[0]):
        if f"{where}.{field}" in FIELDS:
            return FIELDS[f"{where}.{field}"]
    return FIELDS[field]


def document_of(path: str) -> str | None:
    """The schema that a JSON file of the tree follows; None for files that are no JSON, and for the schemas."""
    for pattern, name in _DOCUMENTS.items():
        if re.fullmatch(pattern, path):
            return name
    return None


_DOCUMENTS: Final[Mapping[str, str]] = {
    r"index\.json": "index",
    r"cortes/\d+/manifest\.json": "manifest",
    r"cortes/\d+/totals\.json": "totals",
    r"catalogo/catalogo\.json": "catalogo",
    r"cambios/\d+\.json": "cambios",
    r"bitacora/aperturas/\d+\.jsonl": "apertura",
    r"lugares/indice\.json": "indice",
    r"lugares/\d\d-[a-z0-9]+\.json": "lugares",
    r"seccion/\d\d-\d{4}\.json": "seccion",
    r"[^/]+/(?:corregidas|fuera-de-catalogo|observadas|sin-acta)(?:-\d+)?\.json": "lista",
    r"inicio\.json|(?!esquemas/|cortes/|bitacora/|catalogo/|cambios/)[^/]+/[^/]+\.json": "pagina",
}
