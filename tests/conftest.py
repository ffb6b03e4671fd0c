"""What several test files share: one thread per test process, a run of the smoke preset, and a served model.

The served model is an HTTP server on loopback, well-behaved or hostile.
"""

import json
import os
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from tests.starter import start

# two test processes share two cores, so each gets one thread; with two threads each they would slow each other down
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported; without it every miss takes half a minute


def recipe(name: str, *args) -> subprocess.CompletedProcess:
    """Run a recipe to its end in its own process."""
    process = start(name, *args)
    process.wait()
    return subprocess.CompletedProcess(process.pid, process.status, process.stdout, process.stderr)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, worker_id) -> Path:
    """Run directory of all three phases on the smoke preset, trained once for all test processes. Read only."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    run = shared / "smoke"
    with FileLock(shared / "smoke.lock"):
        if not (run / "ladder.json").exists():
            done = recipe("grpo", "--preset", "smoke", "--output", run)
            assert done.returncode == 0, done.stderr[-3000:]
            assert "foundation → distill → grpo" in done.stdout and "balanced" in done.stdout
    return run


class Handler(BaseHTTPRequestHandler):
    """Answers with `server.answer(messages)`. `server.script` lists other behaviour, one entry per request.

    An entry is a word, or a function from the request and the usual reply to a status and a reply.
    """

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status: int, body: bytes, kind: str = "application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(
            200,
            json.dumps(
                {"object": "list", "data": [{"id": "small", "object": "model", "created": 0, "owned_by": "us"}]}
            ).encode(),
        )

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = request["messages"][-1]["content"]
        with self.server.lock:
            self.server.request_counts[question] += 1
            self.server.keys.add(self.headers["Authorization"])
            act = self.server.script.pop(0) if self.server.script else "answer"
        time.sleep(self.server.pause)
        choices = [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": self.server.answer(request["messages"])},
            }
        ]
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "small", "choices": choices,
                "usage": {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}}  # fmt: skip
        if callable(act):
            status, value = act(request, body)
            return self.reply(status, json.dumps(value).encode())
        match act:
            case "answer":
                self.reply(200, json.dumps(body).encode())
            case "429":
                self.reply(429, b'{"error": {"message": "slow down"}}', Retry_After="0.05")
            case "500":
                self.reply(500, b"oops", "text/plain")
            case "html":
                self.reply(200, b"<html><body>maintenance</body></html>", "text/html")
            case "half":
                self.reply(200, json.dumps(body).encode()[:40])
            case "no choices":
                self.reply(200, json.dumps(body | {"choices": []}).encode())
            case "empty":
                body["choices"][0]["message"]["content"] = ""
                self.reply(200, json.dumps(body).encode())
            case "thinking":
                body["choices"][0] |= {"finish_reason": "length", "message": {"role": "assistant", "content": None}}
                self.reply(200, json.dumps(body).encode())
            case "400":
                self.reply(400, b'{"error": {"message": "too long"}}')
            case "hang up":
                self.close_connection = True
                self.connection.close()
            case "silence":
                time.sleep(1.5)
                self.reply(200, json.dumps(body).encode())
            case "401":
                self.reply(401, b'{"error": {"message": "wrong key"}}')


@pytest.fixture
def served():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer = lambda messages: f"answer to {messages[-1]['content']}"
    server.script, server.request_counts, server.keys = [], Counter(), set()
    server.lock, server.pause = threading.Lock(), 0.0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
