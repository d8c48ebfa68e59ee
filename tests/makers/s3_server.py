"""A real server of the S3 protocol for tests: a process of its own, on its own port, that can be killed and restarted."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any, Final

import boto3  # type: ignore[import-untyped]

from prep.object_store import S3Access
from tests.makers.waiting import PATIENCE

_SERVER: Final = """
import sys, threading
from werkzeug.serving import run_simple
from moto.server import DomainDispatcherApplication, create_backend_app

dispatch, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

def one_at_a_time(environ, start_response):  # S3 compares and writes in one step; moto does in two
    with turn:
        return list(dispatch(environ, start_response))

run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
"""
BUCKET: Final = "imagenes"
URL: Final = f"s3://{BUCKET}/prep"


class S3Server:
    """Keeps its objects in memory: after a kill they are gone."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.access = S3Access(self.endpoint, "us-east-1", "llave", "secreto")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", _SERVER, str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self._is_answering():
            assert time.monotonic() < deadline, "the S3 server does not answer"
            assert self._process.poll() is None, "the S3 server did not start"
            time.sleep(0.05)
        self.client("s3").create_bucket(Bucket=BUCKET)

    def _is_answering(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=PATIENCE):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Remove every object, between two tests."""
        self._post_to_moto("reset", b"")
        self.client("s3").create_bucket(Bucket=BUCKET)

    def demand_credentials(self) -> S3Access:
        """From now on accept only these credentials."""
        iam = self.client("iam")
        iam.create_user(UserName="prep")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="prep", PolicyName="prep", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="prep")["AccessKey"]
        self._post_to_moto("reset-auth", b"0")
        return S3Access(self.endpoint, "us-east-1", key["AccessKeyId"], key["SecretAccessKey"])

    def demand_nothing(self) -> None:
        self._post_to_moto("reset-auth", b"inf")

    def _post_to_moto(self, what: str, body: bytes) -> None:
        url, plain = f"{self.endpoint}/moto-api/{what}", {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(url, body, plain, method="POST")):
            pass

    def client(self, service: str) -> Any:
        """A client with which a test changes the store behind our back."""
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=self.access.key_id, aws_secret_access_key=self.access.secret,
        )  # fmt: skip
