"""Pictures as phones, scanners and senders of ill will write them, and what becomes of each.

`python -m load_tests.pictures` shows them to Pillow, PDFium and a browser; `python -m load_tests.pictures --hostile`
sends bombs to a whole night.
"""
