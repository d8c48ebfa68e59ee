from dataclasses import dataclass
@dataclass
class ImageHeader:
    format: str = "jpeg"; width: int = 1; height: int = 1; media_type: str = "image/jpeg"; extension: str = "jpg"
def inspect(data, **kw):
    return ImageHeader()
