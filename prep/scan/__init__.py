"""Looks at images: `header` before they are taken in, `cascade` for their QR code, `digitize` for all that follows.

Nothing else decodes an image, and nothing here decides what an acta says.
"""

from typing import Final

SAME_PHOTO: Final = 12
"""Bits of 1024 up to which two perceptual hashes are taken for those of one photo.

Drawn and measured: five of six copies, compressed again and scaled, are within it, and all within 24; different sheets
photographed by hand are 37 or more apart; of different sheets of one form laid perfectly alike, one pair in sixty is
within it. A match is a reason for a person to look."""
