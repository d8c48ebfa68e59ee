"""Every check by its stable id, in one table. No other id can be reported; an old id is never given to a new check.

`docs/checks.md` is written from here. `minimal_verifier.py` shares no code, so it has a table of its own; a test
compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Family(StrEnum):
    """The letters before the hyphen of an id; the values are shown to people."""

    AUT = "Autenticidad"
    COM = "Completitud"
    INT = "Integridad"
    CON = "Consistencia"
    EVI = "Evidencia"
    BIT = "Bitácora"
    PRU = "Prueba"


class Who(StrEnum):
    """The command that makes a check, and for which trees."""

    TREE = "`integrity verify`"
    SEALS = "`integrity verify`, `integrity seal check`"
    LOG = "`integrity verify`, if the tree has a log or should have one"
    KEPT = "`integrity verify --checkpoint`"
    AUDIT = "`integrity audit-log`"
    PROOF = "`integrity check-proof`"


BOTH: Final = frozenset({Who.TREE, Who.SEALS, Who.LOG, Who.KEPT})
"""The checks that `minimal_verifier.py` makes too."""


@dataclass(frozen=True, slots=True)
class CheckType:
    """One row of the table."""

    who: Who
    title: str
    """In Spanish, as the report prints it."""
    meaning: str
    """The same in English, for the documents."""


TABLE: Final[Mapping[str, CheckType]] = MappingProxyType(
    {
        "COM-01": CheckType(
            Who.TREE,
            "Están index.json y todos los cortes, numerados sin huecos desde 0000",
            "index.json and all cortes are there, numbered from 0000 without gaps",
        ),
        "COM-02": CheckType(
            Who.TREE,
            "No hay enlaces simbólicos ni archivos especiales",
            "There are no symbolic links and no special files",
        ),
        "COM-03": CheckType(
            Who.TREE,
            "Cada carpeta de corte tiene exactamente sus archivos",
            "Each folder of a corte has exactly its files",
        ),
        "COM-04": CheckType(
            Who.TREE,
            "Todas las actas esperadas y todas las contiendas están en todos los cortes",
            "All expected actas and all contests are in all cortes",
        ),
        "COM-05": CheckType(
            Who.TREE,
            "Están exactamente las imágenes que los cortes listan",
            "Exactly the images that the cortes list are there",
        ),
        "COM-06": CheckType(
            Who.TREE,
            "Cada CODIGO_INTEGRIDAD del último corte es una imagen publicada de esa acta",
            "Each CODIGO_INTEGRIDAD of the last corte is a published image of that acta",
        ),
        "COM-07": CheckType(
            Who.TREE,
            "Están las páginas del último corte",
            "The pages of the last corte are there",
        ),
        "COM-08": CheckType(
            Who.TREE,
            "No hay ningún archivo de más",
            "There is no file that the format does not announce",
        ),
        "INT-01": CheckType(
            Who.TREE,
            "Cada SHA256SUMS tiene la forma exacta",
            "Each SHA256SUMS has its exact form",
        ),
        "INT-02": CheckType(
            Who.TREE,
            "Cada archivo de cada corte tiene la huella que dice su SHA256SUMS",
            "Each file of each corte has the digest that its SHA256SUMS says",
        ),
        "INT-03": CheckType(
            Who.TREE,
            "Los JSON tienen forma canónica y los campos del formato",
            "JSON is canonical and has the fields of the format",
        ),
        "INT-04": CheckType(
            Who.TREE,
            "El nombre de cada imagen es la huella de sus bytes",
            "The name of each image is the digest of its bytes",
        ),
        "INT-05": CheckType(
            Who.TREE,
            "Cada ZIP tiene el nombre, el tamaño y la huella que dice su corte",
            "Each ZIP has the name, the size and the digest that its corte says",
        ),
        "INT-06": CheckType(
            Who.TREE,
            "Cada ZIP contiene los mismos archivos que su corte, byte por byte",
            "Each ZIP holds the same files as its corte, byte for byte",
        ),
        "INT-07": CheckType(
            Who.TREE,
            "los archivos del sitio y los esquemas/ son los que dice el manifiesto del último corte",
            "the files of the site and those in esquemas/ are those that the last manifest states",
        ),
        "CON-01": CheckType(
            Who.TREE,
            "Cada corte lleva la huella del anterior",
            "Each corte carries the digest of the one before",
        ),
        "CON-02": CheckType(
            Who.TREE,
            "Números y fases de los cortes; el corte 0 está en ceros",
            "Numbers and phases of the cortes follow; corte 0 is all zeros",
        ),
        "CON-03": CheckType(
            Who.TREE,
            "Las horas de los cortes no retroceden",
            "The hours of the cortes never go back",
        ),
        "CON-04": CheckType(
            Who.TREE,
            "Todos los cortes dicen lo mismo sobre si es un simulacro",
            "All cortes say the same of whether this is a simulacro",
        ),
        "CON-05": CheckType(
            Who.TREE,
            "El catálogo, la declaración, las elecciones y las reglas son los mismos en todos los cortes",
            "Catalogue, declaration, elections and rules are the same in all cortes",
        ),
        "CON-06": CheckType(
            Who.TREE,
            "index.json señala el último corte",
            "index.json points at the last corte",
        ),
        "CON-07": CheckType(
            Who.TREE,
            "Forma de los CSV: codificación, título, hora y columnas",
            "Form of the CSV files: encoding, title, hour and columns",
        ),
        "CON-08": CheckType(
            Who.TREE,
            "Cada fila identifica una sola acta del catálogo",
            "Each row identifies one acta of the catalogue, and no two the same",
        ),
        "CON-09": CheckType(
            Who.TREE,
            "TOTAL_VOTOS_CALCULADO es la suma de los votos de su fila",
            "TOTAL_VOTOS_CALCULADO is the sum of the votes of its row",
        ),
        "CON-10": CheckType(
            Who.TREE,
            "OBSERVACIONES y CONTABILIZADA siguen las reglas de la elección",
            "OBSERVACIONES and CONTABILIZADA follow the rules of the election",
        ),
        "CON-11": CheckType(
            Who.TREE,
            "Los valores del resumen son los que dan las filas",
            "The values of the summary are those that the rows give",
        ),
        "CON-12": CheckType(
            Who.TREE,
            "Los porcentajes están truncados a cuatro decimales",
            "Percentages are truncated to four decimals",
        ),
        "CON-13": CheckType(
            Who.TREE,
            "Capturadas = contabilizadas + no contabilizadas",
            "Capturadas = contabilizadas + no contabilizadas",
        ),
        "CON-14": CheckType(
            Who.TREE,
            "totals.json es lo que dan las filas, con los votos de coalición distribuidos",
            "totals.json is what the rows give, with coalition votes distributed",
        ),
        "CON-15": CheckType(
            Who.TREE,
            "Toda acta publicada que cambió está entre las correcciones",
            "Each published acta that changed is among the corrections",
        ),
        "CON-16": CheckType(
            Who.TREE,
            "Cada celda es posible, y ninguna de su fila la contradice",
            "Each cell is possible, and no other cell of its row contradicts it",
        ),
        "CON-17": CheckType(
            Who.TREE,
            "CANDIDATURAS y LEEME.txt dicen lo que el manifiesto y totals.json, y las candidaturas no cambian",
            "CANDIDATURAS and LEEME.txt say what the manifest and totals.json say, and candidacies do not change",
        ),
        "CON-19": CheckType(
            Who.TREE,
            "Las páginas dicen lo mismo que las filas y totals.json",
            "The pages say the same as the rows and totals.json",
        ),
        "CON-20": CheckType(
            Who.TREE,
            "Cada corte es el del catálogo publicado: sus actas, lugares, listas nominales, boletas y candidaturas",
            "Each corte is that of the published catalogue: its actas, places, listas nominales, ballots, candidacies",
        ),
        "CON-21": CheckType(
            Who.TREE,
            "Los datos limpios son los que da su corte, y su lista es la que nombra un corte posterior",
            "The clean data are what their corte gives, and their list is the one that a later corte names",
        ),
        "AUT-01": CheckType(
            Who.SEALS,
            "El sello de la institución (.p7s) es sobre este SHA256SUMS y de una autoridad de confianza",
            "The institute's seal (.p7s) is over this SHA256SUMS and under a trusted authority",
        ),
        "AUT-02": CheckType(
            Who.SEALS,
            "La firma de una persona (.firma.p7s), si la hay, también",
            "So is a person's signature (.firma.p7s), if there is one",
        ),
        "AUT-03": CheckType(
            Who.SEALS,
            "El sello en base64 (.sello) también",
            "So is the seal in base64 (.sello)",
        ),
        "AUT-04": CheckType(
            Who.SEALS,
            "Los sellos de tiempo (.tsr) son de este SHA256SUMS y de autoridades de confianza",
            "The time stamps (.tsr) are of this SHA256SUMS and under trusted authorities",
        ),
        "AUT-05": CheckType(
            Who.SEALS,
            "Las horas del corte, del sello y de los sellos de tiempo no retroceden",
            "The hours of corte, seal and time stamps do not go back",
        ),
        "AUT-06": CheckType(
            Who.SEALS,
            "Ningún certificado de desarrollo sella lo que no es un simulacro",
            "No certificate for development seals a night that is not a simulacro",
        ),
        "AUT-11": CheckType(
            Who.LOG,
            "El punto de control de la bitácora lleva las firmas que pide su política",
            "The log's checkpoint carries the signatures that its policy asks for",
        ),
        "AUT-12": CheckType(
            Who.LOG,
            "Lo firmó la llave que trae quien comprueba",
            "It is signed by the key that the reader brought",
        ),
        "EVI-01": CheckType(
            Who.LOG,
            "Las entradas de la bitácora dan la raíz firmada",
            "The entries of the log give the signed root",
        ),
        "EVI-02": CheckType(
            Who.LOG,
            "Cada hoja tiene su forma exacta y su lugar",
            "Each leaf has its exact form and its place",
        ),
        "EVI-03": CheckType(
            Who.LOG,
            "El SHA256SUMS de cada corte está en la bitácora, y cada corte de la bitácora en el árbol",
            "The SHA256SUMS of each corte is in the log, and each corte of the log in the tree",
        ),
        "EVI-04": CheckType(
            Who.LOG,
            "Cada imagen publicada está en la bitácora",
            "Each published image is in the log",
        ),
        "EVI-05": CheckType(
            Who.LOG,
            "Cada fila publicada está en la bitácora antes que el corte que la mostró",
            "Each published row is in the log before the corte that showed it",
        ),
        "EVI-06": CheckType(
            Who.LOG,
            "Los envíos de cada dispositivo están encadenados y sin huecos",
            "The images that each device sent are chained, without gaps",
        ),
        "EVI-07": CheckType(
            Who.LOG,
            "Las pruebas de cada corte y de cada imagen son las de su lugar en la bitácora",
            "The proofs of each corte and each image are those of their place in the log",
        ),
        "EVI-08": CheckType(
            Who.LOG,
            "Las capturas abiertas son las que se comprometieron",
            "The captures, and all other statements, that were opened are those that were committed to",
        ),
        "EVI-09": CheckType(
            Who.LOG,
            "La bitácora es de esta elección: origen, simulacro, catálogo, declaración, reglas y política",
            "The log is of this election: origin, simulacro, catalogue, declaration, rules and policy",
        ),
        "EVI-10": CheckType(
            Who.LOG,
            "Las ceremonias están en su lugar: el cero antes del primer corte, el cierre después del último",
            "Ceremonies are in their place: zero before the first corte, close after the last",
        ),
        "EVI-11": CheckType(
            Who.KEPT,
            "La bitácora continúa el punto de control que guardó quien comprueba",
            "The log continues the checkpoint that the reader kept",
        ),
        "EVI-12": CheckType(
            Who.LOG,
            "Cada fila publicada se apoya en lo que declararon las personas que debían",
            "Each published row stands on the statements of those who had to make them: two equal captures, or three "
            "and the choice of somebody else; sin acta, of two people; cotejo. The sticker that the machine read, or "
            "two people, say that its image is of its acta; two people say that an image is fuera de catálogo",
        ),
        "EVI-13": CheckType(
            Who.LOG,
            "Las aperturas están completas: las de cada corte, una sola vez",
            "The openings are complete: those of each corte that another corte has followed, each statement once",
        ),
        "BIT-01": CheckType(
            Who.AUDIT,
            "El punto de control tiene la forma exacta y es de esta bitácora",
            "The checkpoint has its exact form and is of this log",
        ),
        "BIT-02": CheckType(
            Who.AUDIT,
            "La bitácora lo firmó",
            "The log signed it",
        ),
        "BIT-03": CheckType(
            Who.AUDIT,
            "Lo firmaron los testigos que pide la política",
            "The witnesses that the policy asks for signed it",
        ),
        "BIT-04": CheckType(
            Who.AUDIT,
            "Están todas las teselas y todos los paquetes de entradas, con su forma exacta",
            "All tiles and all bundles of entries are there, each in its exact form",
        ),
        "BIT-05": CheckType(
            Who.AUDIT,
            "Cada entrada da la huella que está en su tesela",
            "Each entry gives the hash that is in its tile",
        ),
        "BIT-06": CheckType(
            Who.AUDIT,
            "Cada tesela da la huella que está en la de arriba",
            "Each tile gives the hash that is in the one above",
        ),
        "BIT-07": CheckType(
            Who.AUDIT,
            "Las teselas dan la raíz firmada",
            "The tiles give the signed root",
        ),
        "PRU-01": CheckType(
            Who.PROOF,
            "La prueba tiene la forma exacta y es de esta bitácora",
            "The proof has its exact form and is of this log",
        ),
        "PRU-02": CheckType(
            Who.PROOF,
            "La bitácora firmó su punto de control",
            "The log signed its checkpoint",
        ),
        "PRU-03": CheckType(
            Who.PROOF,
            "Lo firmaron los testigos que pide la política",
            "The witnesses that the policy asks for signed it",
        ),
        "PRU-04": CheckType(
            Who.PROOF,
            "El archivo está en el lugar de la bitácora que la prueba dice",
            "The file stands at the place of the log that the proof says",
        ),
    }
)


def titles(*who: Who) -> Mapping[str, str]:
    """Id and title of the checks of those commands, in their order."""
    return MappingProxyType({check: row.title for check, row in TABLE.items() if row.who in who})


def family(check: str) -> Family:
    """The family of a check, from the letters of its id."""
    return Family[check.partition("-")[0]]
