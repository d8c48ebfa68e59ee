"""QR codes that we draw: on the stickers of the actas, and on the screen from which a device enrols."""

from collections.abc import Sequence
from typing import Any

import zxingcpp


def modules(text: str, *, level: str = "") -> Sequence[str]:
    """The squares of the QR code of a text, row by row: «1» is dark. The quiet zone around it is not there.

    `level` is that of its error correction, as M: if empty, the highest that needs no larger code.
    """
    # Its type tells Python 3.12 that it is a buffer, and Python 3.11 not.
    asked = {"ec_level": level} if level else {}
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, **asked)
    image: Any = code.to_image(scale=1, add_quiet_zones=False)
    pixels = memoryview(image)
    height, width = pixels.shape or (0, 0)
    return ["".join("0" if pixels[y, x] else "1" for x in range(width)) for y in range(height)]
