"""Pictures as phones, scanners and attackers write them, and tests of how the programs treat each.

`python -m load_tests.pictures` shows them to Pillow, PDFium and a browser; `python -m load_tests.pictures --hostile`
sends bombs to a whole night.
"""
