"""zbar in a process of its own. zbar can kill the process that it runs in; then the image counts as not read by it.

The process is started when it is first needed, and kept. It reads width and height (two 32-bit integers, big-endian),
then width × height bytes of luminance. It answers with a length and a JSON list of texts. It ends when its input is
closed. zbar comes as a system library (libzbar0). If that is missing, the cascade goes on without it, and the log says
so once.
"""

import atexit
import json
import logging
import os
import selectors
import struct
import subprocess
import sys
from functools import cache
from typing import IO, Final

from PIL import Image

from prep.scan.bounded import bound_cpu

log: Final = logging.getLogger(__name__)

SECONDS: Final = 20.0
"""How long zbar may take over one image; then it is killed."""
MISSING: Final = (
    "falta la biblioteca zbar (en Debian: apt-get install libzbar0); los QR se leen sin ella, solo con zxing"
)
READY: Final = b"R"


class Zbar:
    """The other process. Not for two threads at once."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._absent = False

    def read(self, image: Image.Image) -> list[str]:
        """Texts of the QR codes in a luminance image; none if zbar is missing, died or took too long."""
        process = self._running_process()
        if process is None:
            return []
        try:
            assert process.stdin is not None
            process.stdin.write(struct.pack(">II", *image.size) + image.tobytes())
            process.stdin.flush()
            texts: list[str] = json.loads(self._read_answer(process))
        except (OSError, EOFError, TimeoutError) as error:
            log.warning("zbar ended on an image", extra={"data": {"error": repr(error)}})
            self.close()
            return []
        return texts

    def close(self) -> None:
        """End the process, if there is one; a later `read` starts another."""
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None

    def _running_process(self) -> subprocess.Popen[bytes] | None:
        if self._process is not None or self._absent:
            return self._process
        # The child says READY after its import. If it does not, the library is missing: it is not tried again.
        command = [sys.executable, "-m", __spec__.name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._process = process
        try:
            self._read_within_limit(process, 1)
        except (OSError, EOFError, TimeoutError):
            log.warning(MISSING)
            self.close()
            self._absent = True
        return self._process

    def _read_answer(self, process: subprocess.Popen[bytes]) -> bytes:
        (length,) = struct.unpack(">I", self._read_within_limit(process, 4))
        assert process.stdout is not None
        return _read_exactly(process.stdout, length)  # sent together with its length, and already in our buffer

    def _read_within_limit(self, process: subprocess.Popen[bytes], length: int) -> bytes:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(SECONDS):
                raise TimeoutError
        return _read_exactly(process.stdout, length)


@cache
def of_this_process(_pid: int) -> Zbar:
    """One zbar for each of our processes: a fork must not speak into its parent's pipe."""
    one = Zbar()
    atexit.register(one.close)
    return one


def read(image: Image.Image) -> list[str]:
    return of_this_process(os.getpid()).read(image)


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found


def serve(images: IO[bytes], answers: IO[bytes]) -> None:
    """The life of the other process."""
    from pyzbar import pyzbar  # noqa: PLC0415  # importing it needs the system library, and only here

    answers.write(READY)
    answers.flush()
    while header := images.read(8):
        bound_cpu(SECONDS)  # also if its parent was killed, and no process waits for the answer any more
        width, height = struct.unpack(">II", header)
        pixels = _read_exactly(images, width * height)
        found = pyzbar.decode((pixels, width, height), symbols=[pyzbar.ZBarSymbol.QRCODE])
        answer = json.dumps([code.data.decode("ascii", "replace") for code in found]).encode()
        answers.write(struct.pack(">I", len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except ImportError as error:
        sys.exit(str(error))
