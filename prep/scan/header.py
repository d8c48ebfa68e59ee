"""The one check of an upload that may run in the process that serves: it looks at the first bytes alone.

`prep.scan.pictures` looks at all other bytes, in a process that may die (`prep.scan.bounded`).
"""

from typing import Final

from prep.errors import Rejected

DEFAULT_MAX_PIXELS: Final = 60_000_000
START: Final = 1024
"""The format is told from so many first bytes. A PDF may begin anywhere in them: all readers accept that."""

MEDIA: Final = {
    "jpeg": ("image/jpeg", "jpg"),
    "png": ("image/png", "png"),
    "webp": ("image/webp", "webp"),
    "tiff": ("image/tiff", "tif"),
    "pdf": ("application/octet-stream", "pdf"),  # only its drawn page is shown; no program shall open the file itself
    "avif": ("image/avif", "avif"),
    "gif": ("image/gif", "gif"),
    "bmp": ("image/bmp", "bmp"),
}
"""Media type and extension with which the original of each format is served."""

INCOMPLETE: Final = "la imagen está incompleta: termina antes de su final"
DAMAGED: Final = "la imagen está dañada: no se puede leer"

_MAGIC: Final = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"%PDF-", "pdf"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
"""The lengths that the second header of a BMP can have: two letters alone are no sign of a picture."""
_TAKEN: Final = "se admiten JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP y PDF"


def format_of(start: bytes) -> str:
    """The format that the first bytes (`START` of them are enough) announce: a key of `MEDIA`.

    Raises Rejected in one sentence: 422 if there are no bytes or too few, 415 if the format is not taken.
    """
    if not start:
        raise Rejected("la imagen está vacía")
    for magic, form in _MAGIC:
        if start.startswith(magic):
            return form
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "webp"
    if start[4:8] == b"ftyp":
        # AVIF and HEIC share this box; the brands in it tell them apart.
        brands = start[8 : min(int.from_bytes(start[:4], "big"), 128)]
        if b"avif" in brands or b"avis" in brands:
            return "avif"
        raise Rejected(f"la imagen es HEIC o un video; configure la cámara en JPEG ({_TAKEN})", status=415)
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if b"%PDF-" in start[:START]:
        return "pdf"
    # A few bytes that begin as a known format does: the file broke off, and its sender is told so.
    if any(magic.startswith(start) for magic, _ in (*_MAGIC, (b"RIFF", ""))):
        raise Rejected(INCOMPLETE)
    raise Rejected(f"el archivo no es una imagen: {_TAKEN}", status=415)
