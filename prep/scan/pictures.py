"""Finds the acta among the pictures in the bytes of an upload, its size, and the oddities of the other bytes.

Only for processes that may die (`prep.scan.bounded`), because Pillow and PDFium read foreign bytes here.

1. The acta is the largest picture of its container; of several of one size, the first.
2. An upload is refused only if it has no picture, has more pixels than the limit, is a film, is a stack of pages (each
   is an acta of its own), or is a PDF that is locked or holds programs or files.
3. Every other oddity is told by its code, and the upload is kept: bytes behind the end, a missing end, more pictures.
"""

import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin

from prep.errors import Parked, PrepError, Rejected
from prep.scan.header import DAMAGED, DEFAULT_MAX_PIXELS, START, format_of
from prep.scan.oddities import Oddity

T = TypeVar("T")

# The limits here are our own: pixels by `max_pixels`, memory and time by the process.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = 32 * 1024 * 1024
PngImagePlugin.MAX_TEXT_MEMORY = 256 * 1024 * 1024

MAX_SIDE: Final = 65_535
"""Pixels: the longest side that a JPEG can have. A longer side is no acta in any format."""
PDF_DPI: Final = 200
"""The resolution at which a PDF page is drawn, and by which its size in pixels is judged."""
PDF_SIDE: Final = 4400
"""Longest side of a drawn PDF page, in pixels: a larger page is drawn at less than `PDF_DPI`."""
SMALL_PAGE: Final = 1000
"""Pixels of the longest side below which nobody can type from a page."""
PAGES: Final = 4
"""A container with more pictures of about one size is a stack of pages."""
LOOKED_AT: Final = 64
"""The size of so many pictures of a container is asked, and no more."""

MOVING: Final = "la imagen es animada; se admite una sola fotografía o página"
OLD_JPEG: Final = (
    "el TIFF guarda la imagen como JPEG de un formato antiguo que ya no se puede leer; "
    "guárdela en el escáner como JPEG o PDF y envíela otra vez"
)
LOCKED: Final = "el PDF está cifrado; envíelo sin contraseña"
ACTIVE: Final = "el PDF lleva contenido activo o archivos adjuntos; se admite solo una página escaneada"


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture that is the acta. Pixels as stored, before any EXIF rotation; of a PDF, those of its drawn page."""

    format: str
    width: int
    height: int
    opened: Callable[[], Image.Image]
    """Gives a new Pillow image of it, not decoded yet (a page of a PDF is drawn already)."""
    others: tuple[Callable[[], Image.Image], ...] = ()
    """Further pictures of about its size, at most `PAGES` - 1: each might be an acta too."""
    oddities: tuple[Oddity, ...] = ()


def look(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Find the acta in an upload, without decoding it. Raises Rejected in one sentence: 413, 415 or 422."""
    form = format_of(data[:START])
    # The order of the checks matters to the sender: a picture that is too large is told before a stack of pages.
    with _showing_damaged():  # broken metadata must not hide a picture
        found = _reject_on_error(lambda: _pdf_pages(data, max_pixels) if form == "pdf" else _find_pictures(data, form))
        sizes = [size for size, _ in found]
        width, height = max(sizes, key=_area)
        if width < 1 or height < 1:
            raise Rejected(DAMAGED)
        if max(width, height) > MAX_SIDE or width * height > max_pixels:
            raise Rejected(f"la imagen mide {width} × {height} y el límite es de {max_pixels} pixeles", status=413)
        # A preview is much smaller than its picture; a page of more than half its size may be an acta too.
        rivals = [opened for size, opened in found if 2 * _area(size) > width * height]
        if len(rivals) > PAGES:
            raise Rejected(f"el archivo tiene {len(rivals)} páginas; envíe cada una en su propio archivo")
        chosen = found[sizes.index((width, height))][1]
    return Picture(
        format=form,
        width=width,
        height=height,
        opened=chosen,
        others=tuple(opened for opened in rivals if opened is not chosen),
        oddities=tuple(_list_oddities(data, form, pictures=len(found))),
    )


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _reject_on_error(read: Callable[[], T]) -> T:
    """Run `read`, and turn every error of a library into Rejected: about foreign bytes it may raise any error."""
    try:
        return read()
    except (PrepError, MemoryError):
        raise
    except Exception as error:
        raise Rejected(DAMAGED) from error


Found = list[tuple[tuple[int, int], Callable[[], Image.Image]]]


def _find_pictures(data: bytes, form: str) -> Found:
    """The size of each picture in `data`, and a function that opens it."""
    match form:
        case "jpeg":
            return _jpeg_pictures(data)
        case "tiff":
            return _tiff_pictures(data)
        case _:
            first = opener(data, form)
            image = first()
            if getattr(image, "n_frames", 1) > 1:
                raise Rejected(MOVING)
            return [(image.size, first)]


def opener(data: bytes, form: str, frame: int = 0) -> Callable[[], Image.Image]:
    """A function that opens the picture, with the one reader of the format that the first bytes announced."""

    def opened() -> Image.Image:
        if form == "jpeg":  # read as JPEG with any bytes come behind it
            # Given an end, libjpeg hands out the rows that came before the file broke off.
            end = b"\xff\xd9" if ImageFile.LOAD_TRUNCATED_IMAGES else b""
            return JpegImagePlugin.JpegImageFile(io.BytesIO(data + end))
        if form == "bmp":
            return BmpImagePlugin.BmpImageFile(io.BytesIO(data))
        whole = _webp_of_its_length(data) if form == "webp" else data
        image = Image.open(io.BytesIO(whole), formats=[form.upper()])
        if frame:
            image.seek(frame)
        return image

    return opened


def _webp_of_its_length(data: bytes) -> bytes:
    """A WebP whose first length ends at the end of a chunk. Some programs write another; browsers obey the chunks."""
    ends = [RIFF_HEAD]
    while _CHUNK.fullmatch(data, ends[-1], ends[-1] + 4):
        length = int.from_bytes(data[ends[-1] + 4 : ends[-1] + 8], "little")
        ends.append(ends[-1] + 8 + length + length % 2)
    declared = int.from_bytes(data[4:8], "little") + 8
    whole = [end for end in ends[1:] if end <= len(data)]
    if declared in ends or not whole:
        return data
    return data[:4] + struct.pack("<I", whole[-1] - 8) + data[8:]


_CHUNK: Final = re.compile(rb"[A-Z0-9 ]{4}")
RIFF_HEAD: Final = 12
"""Bytes before the first chunk of a WebP."""


def _jpeg_pictures(data: bytes) -> Found:
    """The first picture, and those that its multi-picture index (MPF) finds. A wrong index finds none."""
    first = opener(data, "jpeg")
    found: Found = [(first().size, first)]
    try:
        several = Image.open(io.BytesIO(data), formats=["JPEG"])
        for frame in range(1, min(getattr(several, "n_frames", 1), LOOKED_AT)):
            several.seek(frame)
            start = getattr(several, "offset", 0)
            further = opener(data[start:], "jpeg")
            found.append((further().size, further))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # any error of the library: the first picture is good without the others
        return found
    return found


def _tiff_pictures(data: bytes) -> Found:
    """Every directory of the chain, and the directories below each: some scanners keep the full picture there."""
    found: Found = []
    image = Image.open(io.BytesIO(data), formats=["TIFF"])
    for frame in range(LOOKED_AT):
        try:
            image.seek(frame)
        except EOFError:
            break
        except (OSError, ValueError, SyntaxError, LookupError, TypeError, struct.error):
            if not found:
                raise
            break  # a chain that breaks off behind good pictures
        found.append((image.size, opener(data, "tiff", frame)))
        found += _tiff_pictures_below(data, image)
    if not found:
        raise Rejected(DAMAGED)
    return found


SUB_IFDS: Final = 330


def _tiff_pictures_below(data: bytes, image: Image.Image) -> Found:
    # BigTIFF has other offsets: pictures below are not looked for there. To open one that stands below, the header is
    # written again so that its directory is the first; Pillow cannot seek to it.
    offsets = image.tag_v2.get(SUB_IFDS, ()) if data[2:4] in {b"*\0", b"\0*"} else ()  # type: ignore[attr-defined]
    found: Found = []
    order = "<I" if data[:2] == b"II" else ">I"
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:LOOKED_AT]:
        try:
            below = opener(data[:4] + struct.pack(order, offset) + data[8:], "tiff")
            found.append((below().size, below))
        except (OSError, ValueError, SyntaxError, LookupError, TypeError, struct.error):
            continue
    return found


# The end of a file, and other formats that it might be taken for. Each search is one pass for one mark.

_ENDS: Final = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82", "pdf": b"%%EOF", "gif": b"\x3b"}
_OTHER_READER: Final = re.compile(rb"<(?:!doctype|html|script|iframe|svg)|%PDF-", re.IGNORECASE)
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_TAIL: Final = 22 + 65_535
"""The closing record of a ZIP and its longest comment."""


def _list_oddities(data: bytes, form: str, *, pictures: int) -> Iterator[Oddity]:
    if pictures > 1:
        yield Oddity.VARIAS_IMAGENES
    end = _end_of_picture(data, form)
    if end is None:
        yield Oddity.INCOMPLETA
    elif data[end:].strip(b"\0\r\n\t "):
        yield Oddity.BYTES_DESPUES
    if (form != "pdf" and _OTHER_READER.search(data, 4, START)) or _ZIP_END in data[-_ZIP_TAIL:]:
        yield Oddity.OTRO_FORMATO


def _end_of_picture(data: bytes, form: str) -> int | None:
    """The place behind the last byte of the picture; None if its end is missing."""
    match form:
        case "webp":
            declared = int.from_bytes(data[4:8], "little") + 8
            return declared if declared <= len(data) else None
        case "jpeg" | "png" | "pdf" | "gif":
            # A preview behind a JPEG has an end mark too: the segments decide. If they are broken, the last mark does.
            if form == "jpeg" and (segments := list(jpeg_segments(data))) and segments[-1][0] == EOI:
                return segments[-1][2]
            at = data.rfind(_ENDS[form])
            return at + len(_ENDS[form]) if at >= 0 else None
        case _:
            return len(data)


SOS, EOI = 0xDA, 0xD9
ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_BEHIND_SCAN: Final = re.compile(rb"\xff(?![\x00\xff\xd0-\xd7])")
"""A marker that may not stand inside of compressed data: FF 00 is a byte FF of data, FF D0 to FF D7 are restarts."""


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of the first JPEG in `data`. A scan ends after its compressed data.

    The last one is `EOI`, unless the file breaks off or its segments are not in order. Each step begins at the end of
    the one before, so all of it is one pass.
    """
    # Bytes FF may fill the space before a marker. Most segments carry their length, which counts itself.
    at = 2
    while len(head := data[at : at + 4]) >= 2 and head[0] == 0xFF:
        marker = head[1]
        if marker == 0xFF:
            at += 1
            continue
        alone = marker == EOI or marker in ALONE
        end = at + 2 + (0 if alone else int.from_bytes(head[2:4], "big"))
        if marker == SOS:
            end = _scan_end(data, end)
        yield marker, at, end
        if marker == EOI or end > len(data):
            return
        at = end


def _scan_end(data: bytes, at: int) -> int:
    """The end of the compressed data that begins at `at`: the first marker that may not stand inside it."""
    found = _BEHIND_SCAN.search(data, at)
    return found.start() if found else len(data)


# PDF


def _pdf_pages(data: bytes, max_pixels: int) -> Found:
    """The size of each page as it will be drawn. Raises Rejected if the PDF holds a picture bomb or a program."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise Rejected(LOCKED) from None
        raise Rejected(DAMAGED) from None
    try:
        pages = len(document)
        if pages > LOOKED_AT:
            raise Rejected(f"el archivo tiene {pages} páginas; envíe cada una en su propio archivo")
        _refuse_active(document)
        found: Found = []
        for number in range(pages):
            page = document[number]
            width, height = page.get_size()
            # Drawing a page decodes its pictures whole, so the limit of pixels holds for each of them too.
            longest = 0
            for thing in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
                wide, high = thing.get_px_size()
                if wide * high > max_pixels:
                    raise Rejected(f"la imagen mide {wide} × {high} y el límite es de {max_pixels} pixeles", status=413)
                longest = max(longest, wide, high)
            scale = pdf_scale(width, height, longest)
            found.append(((round(width * scale), round(height * scale)), _pdf_page_opener(data, number, scale)))
            page.close()
    finally:
        document.close()
    if not found:
        raise Rejected(DAMAGED)
    return found


def pdf_scale(width: float, height: float, longest: int = 0) -> float:
    """Pixels for each point of a page of this size. A point is a 72nd of an inch.

    `longest` is the longest side, in pixels, of a picture on the page. If a scanner tells a page of a thumb's size, the
    page is drawn as large as its picture.
    """
    side = max(width, height, 1)
    usual = min(PDF_DPI / 72, PDF_SIDE / side)
    return usual if usual * side >= SMALL_PAGE else max(usual, min(longest, PDF_SIDE) / side)


def _pdf_page_opener(data: bytes, number: int, scale: float) -> Callable[[], Image.Image]:
    def drawn() -> Image.Image:
        document = pypdfium2.PdfDocument(data)
        try:
            image: Image.Image = document[number].render(scale=scale).to_pil()
            return image.convert("RGB")
        finally:
            document.close()

    return drawn


_ACTIVE: Final = frozenset(
    {b"JavaScript", b"Rendition", b"Launch", b"EmbeddedFile", b"EmbeddedFiles", b"RichMedia", b"XFA"}
)


# The key /JS of a program stands beside /JavaScript or /Rendition. By itself it may be the name of any picture.


def _refuse_active(document: pypdfium2.PdfDocument) -> None:
    """Raises Rejected if the PDF holds programs or files. They are looked for in dictionaries, never in pictures.

    PDFium writes the document again: each object by itself, each name in one spelling. So a name cannot hide in an
    object stream or behind an escape.
    """
    if pdfium.FPDFDoc_GetJavaScriptActionCount(document) > 0 or pdfium.FPDFDoc_GetAttachmentCount(document) > 0:
        raise Rejected(ACTIVE)
    written = io.BytesIO()
    try:
        document.save(written)
    except pypdfium2.PdfiumError:
        raise Rejected(DAMAGED) from None
    if any(name in _ACTIVE for name in dictionary_names(written.getvalue())):
        raise Rejected(ACTIVE)


_TOKEN: Final = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]*)|\(|<<|>>|<|%[^\r\n]*|(?<=>>)stream\r?\n|[0-9]+")
_IN_STRING: Final = re.compile(rb"[\\)]")


def dictionary_names(data: bytes) -> Iterator[bytes]:
    """The names in a PDF as PDFium writes it, outside of strings, comments and streams.

    Each search begins at the end of the one before, so all of it is one pass.
    """
    # `depth` counts open dictionaries. The outermost one before a stream tells the stream's length: so many bytes are
    # skipped. `awaited` is true between the name /Length of that dictionary and its number.
    at, depth, length, awaited = 0, 0, 0, False
    while (token := _TOKEN.search(data, at)) is not None:
        at = token.end()
        match token[0][:1]:
            case b"/":
                yield token[1]
                awaited = depth == 1 and token[1] == b"Length"
                continue
            case b"(":
                at = _behind_string(data, at)
            case b"<" if token[0] == b"<<":
                depth += 1
                length = 0 if depth == 1 else length
            case b"<":
                at = data.find(b">", at) + 1 or len(data)
            case b">":
                depth = max(0, depth - 1)
            case b"s":
                at = min(at + length, len(data))
            case b"%":
                pass
            case _ if awaited:
                length = int(token[0][:9])
        awaited = False


def _behind_string(data: bytes, at: int) -> int:
    """The place behind a string. PDFium escapes every parenthesis in a string, so the first bare one ends it."""
    while (found := _IN_STRING.search(data, at)) is not None:
        if found[0] == b")":
            return found.end()
        at = found.end() + 1
    return len(data)


# Decoding


def decoded(opened: Callable[[], Image.Image], decode: Callable[[Image.Image], T]) -> tuple[T, bool]:
    """The pixels that `decode` makes of an opened image, and whether they are whole.

    If the image ends early, or a part of it is damaged, its good part is shown. Raises Parked if no pixel can be shown.
    """
    # First strictly: an error tells that the image is not whole. Then once more: the library shows all that it can.
    with suppress(_FirstLookFailed), _without_warnings():
        return _read_strictly(lambda: decode(opened())), True
    try:
        with _showing_damaged():
            return decode(opened()), False
    except (PrepError, MemoryError):
        raise
    except Exception as error:
        raise Parked(f"la imagen no se pudo decodificar: {error}") from error


class _FirstLookFailed(Exception):
    """The first, strict look failed. Its cause is dropped: the second look tells the fault that counts."""


def _read_strictly(read: Callable[[], T]) -> T:
    try:
        return read()
    except (PrepError, MemoryError):
        raise
    except Exception as error:
        raise _FirstLookFailed from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; no metadata is used here
        yield


@contextmanager
def _showing_damaged() -> Iterator[None]:
    """Let Pillow show all that it can. The switch is for the whole process, which does one thing at a time."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with _without_warnings():
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def examine(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> str:
    """The question of the door: the format of a picture that can be taken. Raises Rejected as `look` does."""
    picture = look(path.read_bytes(), max_pixels)
    if picture.format == "tiff":
        _refuse_unreadable_tiff(picture)
    return picture.format


def prepare() -> None:
    """Prepare a process that will only `examine`. The import of this module has done most of it."""
    Image.preinit()


def _refuse_unreadable_tiff(picture: Picture) -> None:
    """Raises Rejected if the TIFF holds a JPEG of the old kind that cannot be decoded: its sender can still act."""
    image = picture.opened()
    if image.info.get("compression") != "tiff_jpeg":
        return
    try:
        decoded(picture.opened, lambda opened: opened.load())
    except Parked:
        raise Rejected(OLD_JPEG) from None
