"""How an object store (S3) is reached."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from prep.errors import Rejected


@dataclass(frozen=True, slots=True)
class S3Access:
    """How an S3 is reached, as `PREP_S3_*` says; the AWS_* environment says the empty ones."""

    endpoint: str = ""
    region: str = ""
    key_id: str = ""
    secret: str = field(default="", repr=False)
    plain_http: bool = False

    def plain_http_allowed(self) -> bool:
        """Whether the endpoint is http. Raises Rejected if that would leave this machine without leave to."""
        # The same variables that obstore reads if `endpoint` is empty, in its order.
        variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
        endpoint = self.endpoint or next(filter(None, map(os.environ.get, variables)), "")
        parts = urlsplit(endpoint)
        if parts.scheme != "http":
            return False
        # A host that is a name raises ValueError: a name other than localhost may be anywhere.
        with suppress(ValueError):
            if self.plain_http or parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback:
                return True
        raise Rejected(f"{endpoint} no va cifrado: use https, o PREP_S3_PLAIN_HTTP=true si la red es de confianza")
