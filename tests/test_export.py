"""Exported models: card, 4 bits, GGUF by a converter, and the upload to a hub, here a small one on loopback."""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chemr_lite import Chemist, data
from chemr_lite.data import splits
from recipes import export as recipe
from recipes.training import command, model_card

CONVERTER = """
import sys
from pathlib import Path

folder, target = Path(sys.argv[1]), Path(sys.argv[sys.argv.index("--outfile") + 1])
weights = (folder / "model.safetensors").read_bytes()
if "refuse" in str(Path(__file__)):
    sys.exit("loading\\nNotImplementedError: BPE pre-tokenizer was not recognized")
target.write_bytes(b"GGUF" + weights[:8])
"""


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as uploading small files needs. `server.files` has arrived, `server.status` is its answer."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers["Authorization"]))
        answer = {"url": "http://127.0.0.1/me/chemr"}
        if self.path.endswith("/repos/create"):
            self.server.private = (
                json.loads(body)["private"] if "private" in json.loads(body) else json.loads(body).get("visibility")
            )
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            answer = {
                "files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for name in names]
            }
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            answer = {"commitUrl": "http://127.0.0.1/me/chemr/commit/1", "commitOid": "1", "pullRequestUrl": None}
        text = json.dumps(answer if self.server.status == 200 else {"error": "no room for you"}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.requests, server.status, server.private = {}, [], 200, None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def export(monkeypatch, capsys):
    """Runs the recipe in this process, which saves imports. Returns exit status, stdout and stderr."""

    def run(*args) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["export.py", *map(str, args)])
        try:
            command.run(recipe.main)
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def online(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{hub.server_address[1]}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return hub


def test_the_card_tells_what_was_measured(smoke):
    text = model_card.write(smoke / "grpo", "nano", "me/chemr")
    balanced = json.loads((smoke / "grpo" / "metrics.json").read_text())["balanced"]
    assert f"**{balanced:.1f}**" in text and "grounding, %" in text and "95 % interval" in text
    assert "| nano | Apache-2.0" in text and 'Chemist("me/chemr")' in text
    assert [line for line in text.splitlines() if line[:2] in ("1.", "2.", "3.")] != []
    assert str(smoke) not in text  # no folder of this machine
    first = model_card.write(smoke / "foundation", "nano", "me/chemr")
    assert "| grpo |" not in first and "3. multi-task" not in first


def test_the_card_of_your_own_data_names_files_and_not_folders(smoke, tmp_path):
    run = json.loads((smoke / "foundation" / "run.json").read_text())
    run["options"] |= {
        "data": "/home/someone/mine.csv,chebi20",
        "data_root": "/home/someone",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
    }
    (tmp_path / "foundation").mkdir()
    (tmp_path / "foundation" / "run.json").write_text(json.dumps(run))
    text = model_card.write(tmp_path / "foundation", "meta-llama/Llama-3.1-8B-Instruct", "me/chemr")
    assert "someone" not in text and "| mine.csv |" in text and "CC BY 4.0" in text
    assert "base_model: meta-llama/Llama-3.1-8B-Instruct" in text and "Not evaluated." in text


def test_four_bits_are_a_model_too(smoke, tmp_path, export):
    assert export(smoke / "grpo", "--output", tmp_path / "small", "--precision", "4bit")[0] == 0
    assert json.loads((tmp_path / "small" / "config.json").read_text())["quantization_config"]["load_in_4bit"]
    rows = splits.sample(data.load(["nano"]).rows["test"], 6)
    phase_replies, exported_replies = (
        Chemist(folder, max_new_tokens=100).ask_all(rows) for folder in (smoke / "grpo", tmp_path / "small")
    )
    same_start = [
        a.completion[:9] == b.completion[:9] for a, b in zip(phase_replies, exported_replies, strict=True)
    ]  # rounded twice, so not token for token
    assert sum(same_start) > 14 and sum(bool(reply.answer) for reply in exported_replies) > 9


def test_gguf_by_the_converter(smoke, tmp_path, export, monkeypatch):
    (tmp_path / "llama.cpp").mkdir()
    (tmp_path / "llama.cpp" / "convert_hf_to_gguf.py").write_text(CONVERTER)
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path / "llama.cpp"))
    status, out, _ = export(smoke / "grpo", "--output", tmp_path / "whole", "--gguf")
    assert status == 0 and (tmp_path / "whole" / "model.gguf").read_bytes()[:4] == b"GGUF"
    modelfile = (tmp_path / "whole" / "Modelfile").read_text()
    assert (
        "FROM ./model.gguf" in modelfile and "You are an expert chemist" in modelfile and "ollama create whole" in out
    )


def test_gguf_without_a_converter_or_with_one_that_refuses(smoke, tmp_path, export):
    (tmp_path / "refuse").mkdir()
    args = (smoke / "grpo", "--output", tmp_path / "whole", "--gguf", "--llama-cpp", tmp_path / "refuse")
    status, _, error = export(*args)
    assert status == 2 and "git clone https://github.com/ggml-org/llama.cpp" in error
    assert not (tmp_path / "whole").exists()  # refused before anything is written
    (tmp_path / "refuse" / "convert_hf_to_gguf.py").write_text(CONVERTER)
    status, _, error = export(*args)
    assert status == 2 and "pre-tokenizer was not recognized" in error
    assert (tmp_path / "whole" / "model.safetensors").exists()
    assert export(*args[:4], "--precision", "4bit")[0] == 2


def test_push_uploads_the_folder_and_keeps_the_key(smoke, tmp_path, export, online):
    status, out, err = export(smoke / "grpo", "--output", tmp_path / "whole", "--push-to-hub", "me/chemr")
    assert status == 0, err
    assert online.files.keys() == {path.name for path in (tmp_path / "whole").iterdir()} and "README.md" in online.files
    assert online.files["model.safetensors"] == (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert "# me/chemr" in online.files["README.md"].decode()
    assert online.private in (True, "private") and {key for _, key in online.requests} == {"Bearer hf_secret"}
    assert "hf_secret" not in out + err + "".join(path.read_text() for path in (tmp_path / "whole").glob("*.json"))


def test_a_hub_that_refuses_loses_nothing(smoke, tmp_path, export, online):
    online.status = 403
    status, _, error = export(smoke / "grpo", "--output", tmp_path / "whole", "--push-to-hub", "me/chemr")
    assert status == 2 and "me/chemr cannot be pushed" in error and "hf_secret" not in error
    assert (tmp_path / "whole" / "model.safetensors").exists()


def test_push_without_a_token_is_told_first(smoke, tmp_path, export, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    status, _, error = export(smoke / "grpo", "--output", tmp_path / "whole", "--push-to-hub", "me/chemr")
    assert status == 2 and "set HF_TOKEN" in error and not (tmp_path / "whole").exists()


def test_adapters_to_keep(smoke, tmp_path, export):
    kept = tmp_path / "kept-adapters"
    assert export(smoke, "--adapters", kept)[0] == 0
    assert json.loads((kept / "dataset-metadata.json").read_text())["id"] == "YOUR-NAME/kept-adapters"
    assert {path.name for path in kept.iterdir()} >= {"foundation", "distill", "grpo", "ladder.md", "README.md"}
    assert not list(kept.rglob("checkpoint-*"))
    assert Chemist(kept).adapter == kept / "grpo"
    status, _, error = export(smoke, "--adapters", kept)
    assert status == 2 and "is there already" in error
    status, _, error = export(tmp_path, "--adapters", tmp_path / "other")
    assert status == 2 and "no finished phase in it" in error and not (tmp_path / "other").exists()


def test_a_full_disk_is_told_with_the_number(smoke, tmp_path, export, monkeypatch):
    monkeypatch.setattr(recipe.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    status, _, error = export(smoke / "grpo", "--output", tmp_path / "whole")
    assert status == 2 and "GiB and 0.0 are free" in error and list(tmp_path.iterdir()) == []
