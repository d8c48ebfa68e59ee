"""interim"""
import hashlib, io, time
from dataclasses import dataclass
from PIL import Image
import zxingcpp
@dataclass(frozen=True, slots=True)
class Digitized:
    format: str; width: int; height: int; text: str | None; decoder: str | None; qr_ms: float; phash: bytes; web: bytes; thumb: bytes
def digitize(data: bytes, max_pixels: int) -> Digitized:
    im = Image.open(io.BytesIO(data)); w, h = im.size
    g = im.convert("L")
    found = [r.text for r in zxingcpp.read_barcodes(g, formats=zxingcpp.BarcodeFormat.QRCode)]
    web = im.convert("RGB"); web.thumbnail((1200, 1200)); b = io.BytesIO(); web.save(b, "JPEG", quality=70)
    web.thumbnail((320, 320)); t = io.BytesIO(); web.save(t, "JPEG", quality=60)
    return Digitized("jpeg", w, h, found[0] if found else None, "zxing" if found else None, 0.0, hashlib.sha256(data).digest()[:8], b.getvalue(), t.getvalue())
