"""What commands show a control plane, and whose answer they take for its."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from controlplane.cli.asked import Asked, Unanswered, bearer
from controlplane.cli.served import served


class Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody on to an answer that looks like a control plane's."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/forged" else 302)
        self.send_header("Location", "/forged")
        self.end_headers()
        self.wfile.write(b'{"policy_revision": "forged"}' if self.path == "/forged" else b"{}")

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_token_is_not_sent_in_clear_over_a_network() -> None:
    asked = Asked("http://controlplane.example")
    with pytest.raises(Unanswered, match="https://"):
        await asked.get("/metrics", bearer("secret"))
    await asked.close()


def test_an_answer_from_elsewhere_is_none(elsewhere: str) -> None:
    assert served(elsewhere) is None
