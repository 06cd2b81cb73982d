"""Buckets of a real server that speaks as S3 does, on a port of its own."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import ERROR, getLogger
from typing import Any


@dataclass
class Buckets:
    """A server, and with `environment` what a program needs to reach it."""

    host: str
    port: int
    server: Any = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}",
        }

    def make(self, bucket: str) -> str:
        """A new bucket; gives its URL."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request("PUT", f"/{bucket}")
            assert connection.getresponse().status == 200
        finally:
            connection.close()
        return f"s3://{bucket}"


@contextmanager
def buckets() -> Iterator[Buckets]:
    """A server with no bucket yet."""
    from moto.server import ThreadedMotoServer

    getLogger("werkzeug").setLevel(ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Buckets(*server.get_host_and_port(), server)
    finally:
        server.stop()
