"""Looks at images: `header` before they are taken in, `cascade` for their QR code, `digitize` for all that follows.

Nothing else decodes an image, and nothing here decides what an acta says.
"""
