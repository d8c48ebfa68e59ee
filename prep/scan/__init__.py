"""Looks at images: `header` before they are taken in, `cascade` for their QR code, `digitize` for all that follows.

Nothing else decodes an image, and nothing here decides what an acta says.
"""

from typing import Final

SAME_PHOTO: Final = 12
"""Two perceptual hashes (1024 bits) that differ in at most so many bits are taken for one photo.

Measured with drawn actas. Of the copies of a photo, compressed again and scaled, five of six are within it, and all are
within 24. Different sheets photographed by hand are 37 or more apart. Of different sheets of one form, laid perfectly
alike, one pair in sixty is within it. So a match is only a reason for a person to look."""
