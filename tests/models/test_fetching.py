"""Weights that are fetched: checked before they have their name, resumed, retried, and never in part."""

from __future__ import annotations

import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from art_weakrobust.errors import ModelError
from art_weakrobust.models.fetching import Remote, fetched, located


def checkpoint():
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(40_000)}, buffer)
    return buffer.getvalue()


CONTENT = checkpoint()


class Server(ThreadingHTTPServer):
    """Serves one file on this machine; ``plan`` says for each request in turn what goes wrong."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.plan, self.asked, self.ranges = CONTENT, [], [], True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/net.pt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        trouble = server.plan.pop(0) if server.plan else None
        if isinstance(trouble, int) and trouble >= 400:
            self.send_error(trouble)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if trouble == "cut" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def remote(server, tmp_path):
    return Remote(tmp_path / "models" / "net.pt", server.url)


def left(remote):
    return sorted(path.name for path in remote.path.parent.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_fetched_when_it_is_asked_for_and_once(server, remote):
    assert located(remote, download=True).read_bytes() == CONTENT
    located(remote, download=True)
    assert server.asked == [None]
    assert left(remote) == ["net.pt"]


def test_what_was_cut_off_is_gone_on_with(server, remote):
    server.plan, waited = ["cut"], []
    fetched(remote, pause=waited.append)
    assert remote.path.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={len(CONTENT) // 2}-"]
    assert waited == [1.0]


def test_a_server_that_cannot_resume_gives_the_whole_again(server, remote):
    server.plan, server.ranges = ["cut"], False
    fetched(remote, pause=lambda _: None)
    assert remote.path.read_bytes() == CONTENT


def test_what_an_earlier_process_had_fetched_is_gone_on_with(server, remote):
    remote.path.parent.mkdir(parents=True)
    remote.path.with_name("net.pt.part").write_bytes(CONTENT[:1000])
    fetched(remote)
    assert server.asked == ["bytes=1000-"]
    assert remote.path.read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server, remote):
    remote.path.parent.mkdir(parents=True)
    remote.path.with_name("net.pt.part").write_bytes(b"x" * (len(CONTENT) + 5))
    fetched(remote)
    assert remote.path.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_with_longer_and_longer_waits(server, remote):
    server.plan, waited = [503, 429, 500], []
    fetched(remote, pause=waited.append)
    assert remote.path.read_bytes() == CONTENT
    assert waited == [1.0, 2.0, 4.0]


def test_in_the_end_it_gives_up_and_says_what_to_do(server, remote):
    server.plan, waited = [503] * 9, []
    with pytest.raises(ModelError, match=r"cannot be fetched from .*503.*curl -fL") as caught:
        fetched(remote, pause=waited.append)
    assert len(waited) == 4
    assert str(remote.path) in str(caught.value)
    assert left(remote) == []


def test_a_file_that_is_not_there_is_not_asked_for_twice(server, remote):
    server.plan = [404]
    with pytest.raises(ModelError, match="404"):
        fetched(remote, pause=lambda _: pytest.fail("it waited"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!doctype html><html>Quota exceeded</html>", "is an HTML page"),
        (CONTENT[: len(CONTENT) // 2], "are a zip archive cut short"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_checkpoint_never_gets_its_name(server, remote, content, words):
    server.content = content or b"\0"
    if not content:
        server.content, server.plan = CONTENT, []
        remote.path.parent.mkdir(parents=True)
        remote.path.write_bytes(b"")
    with pytest.raises(ModelError, match=words):
        located(remote, download=True)
    assert left(remote) == (["net.pt"] if not content else [])


def test_a_hash_in_the_name_is_held_to(server, tmp_path):
    promised = hashlib.sha256(CONTENT).hexdigest()[:8]
    good, bad = (Remote(tmp_path / f"net-{mark}.pth", server.url) for mark in (promised, "0" * 8))
    assert located(good, download=True).is_file()
    with pytest.raises(ModelError, match="has not the SHA-256 sum 00000000"):
        located(bad, download=True)
    assert not bad.path.exists()


def test_a_machine_that_is_offline_is_told_the_path_and_the_source(tmp_path):
    remote = Remote(tmp_path / "net.pt", "http://127.0.0.1:9/net.pt")  # nobody listens on the port "discard"
    with pytest.raises(ModelError, match=r"net\.pt' cannot be fetched from http://127\.0\.0\.1:9/net\.pt"):
        fetched(remote, pause=lambda _: None)


def test_without_leave_nothing_is_asked(server, remote):
    with pytest.raises(ModelError, match=r"are not there; --download"):
        located(remote, download=False)
    assert server.asked == []
    assert not remote.path.parent.exists()


def test_files_on_google_drive_have_an_address_and_a_command(tmp_path):
    remote = Remote(tmp_path / "a b.pt", "gdrive:1abc")
    assert remote.url == "https://drive.usercontent.google.com/download?id=1abc&export=download&confirm=t"
    assert remote.command == f"gdown 1abc -O '{tmp_path}/a b.pt'"


def test_the_command_makes_the_folder_that_is_not_there(tmp_path):
    remote = Remote(tmp_path / "new" / "a.pt", "https://host/a.pt")
    assert remote.command == f"mkdir -p {tmp_path}/new && curl -fL https://host/a.pt -o {tmp_path}/new/a.pt"
