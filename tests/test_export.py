"""Exported models: their card, 4 bits, GGUF by a converter, and the way to a hub, here a small one on loopback."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chemr_lite import Chemist
from recipes import card
from tests.conftest import recipe

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
    """As much of the hub as an upload of small files needs; `server.files` is what has arrived, `server.status` its mood."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        told = {"url": "http://127.0.0.1/me/chemr"}
        if self.path.endswith("/repos/create"):
            self.server.private = json.loads(body)["private"] if "private" in json.loads(body) else json.loads(body).get("visibility")
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            told = {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for name in names]}
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            told = {"commitUrl": "http://127.0.0.1/me/chemr/commit/1", "commitOid": "1", "pullRequestUrl": None}
        text = json.dumps(told if self.server.status == 200 else {"error": "no room for you"}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.asked, server.status, server.private = {}, [], 200, None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def online(hub) -> dict[str, str]:
    return {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}", "HF_TOKEN": "hf_secret"}


def test_the_card_tells_what_was_measured(smoke):
    text = card.write(smoke / "grpo", "nano", "me/chemr")
    balanced = json.loads((smoke / "grpo" / "metrics.json").read_text())["balanced"]
    assert f"**{balanced:.1f}**" in text and "grounding, %" in text and "95 % interval" in text
    assert "| nano | Apache-2.0" in text and 'Chemist("me/chemr")' in text
    assert [line for line in text.splitlines() if line[:2] in ("1.", "2.", "3.")] != []
    assert str(smoke) not in text  # no folder of this machine
    first = card.write(smoke / "foundation", "nano", "me/chemr")
    assert "| grpo |" not in first and "3. multi-task" not in first


def test_the_card_of_your_own_data_names_files_and_not_folders(smoke, tmp_path):
    run = json.loads((smoke / "foundation" / "run.json").read_text())
    run["options"] |= {"data": "/home/someone/mine.csv,chebi20", "data_root": "/home/someone", "model": "meta-llama/Llama-3.1-8B-Instruct"}
    (tmp_path / "foundation").mkdir()
    (tmp_path / "foundation" / "run.json").write_text(json.dumps(run))
    text = card.write(tmp_path / "foundation", "meta-llama/Llama-3.1-8B-Instruct", "me/chemr")
    assert "someone" not in text and "| mine.csv |" in text and "CC BY 4.0" in text
    assert "base_model: meta-llama/Llama-3.1-8B-Instruct" in text and "Not evaluated." in text


def test_four_bits_are_a_model_too(smoke, tmp_path):
    done = recipe("export", smoke / "grpo", "--output", tmp_path / "small", "--precision", "4bit")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "small" / "config.json").read_text())["quantization_config"]["load_in_4bit"]
    asked = ("reaction_prediction", "CC(=O)O.Nc1ccc(O)cc1")
    one, other = (Chemist(folder, max_new_tokens=100).ask(*asked) for folder in (smoke / "grpo", tmp_path / "small"))
    assert one.completion[:9] == other.completion[:9] and other.answer  # rounded twice, so not token for token


def test_gguf_by_the_converter(smoke, tmp_path):
    (tmp_path / "llama.cpp").mkdir()
    (tmp_path / "llama.cpp" / "convert_hf_to_gguf.py").write_text(CONVERTER)
    done = recipe("export", smoke / "grpo", "--output", tmp_path / "whole", "--gguf", LLAMA_CPP=str(tmp_path / "llama.cpp"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "whole" / "model.gguf").read_bytes()[:4] == b"GGUF"
    modelfile = (tmp_path / "whole" / "Modelfile").read_text()
    assert "FROM ./model.gguf" in modelfile and "You are an expert chemist" in modelfile and "ollama create whole" in done.stdout


def test_gguf_without_a_converter_or_with_one_that_refuses(smoke, tmp_path):
    (tmp_path / "refuse").mkdir()
    missing = recipe("export", smoke / "grpo", "--output", tmp_path / "whole", "--gguf", "--llama-cpp", tmp_path / "refuse")
    assert missing.returncode == 2 and "git clone https://github.com/ggml-org/llama.cpp" in missing.stderr
    assert not (tmp_path / "whole").exists()  # told before anything is made
    (tmp_path / "refuse" / "convert_hf_to_gguf.py").write_text(CONVERTER)
    refused = recipe("export", smoke / "grpo", "--output", tmp_path / "whole", "--gguf", "--llama-cpp", tmp_path / "refuse")
    assert refused.returncode == 2 and "pre-tokenizer was not recognized" in refused.stderr and "Traceback" not in refused.stderr
    assert (tmp_path / "whole" / "model.safetensors").exists()


def test_push_uploads_the_folder_and_keeps_the_key(smoke, tmp_path, hub):
    done = recipe("export", smoke / "grpo", "--output", tmp_path / "whole", "--push-to-hub", "me/chemr", **online(hub))
    assert done.returncode == 0, done.stderr[-2000:]
    assert hub.files.keys() == {path.name for path in (tmp_path / "whole").iterdir()} and "README.md" in hub.files
    assert hub.files["model.safetensors"] == (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert "# me/chemr" in hub.files["README.md"].decode()
    assert hub.private in (True, "private") and {key for _, key in hub.asked} == {"Bearer hf_secret"}
    told = done.stdout + done.stderr + "".join(path.read_text(errors="ignore") for path in Path(tmp_path, "whole").glob("*.json"))
    assert "hf_secret" not in told


def test_a_hub_that_refuses_loses_nothing(smoke, tmp_path, hub):
    hub.status = 403
    done = recipe("export", smoke / "grpo", "--output", tmp_path / "whole", "--push-to-hub", "me/chemr", **online(hub))
    assert done.returncode == 2 and "me/chemr cannot be pushed" in done.stderr and "Traceback" not in done.stderr
    assert "hf_secret" not in done.stderr and (tmp_path / "whole" / "model.safetensors").exists()


def test_push_without_a_token_is_told_first(smoke, tmp_path):
    done = recipe("export", smoke / "grpo", "--output", tmp_path / "whole", "--push-to-hub", "me/chemr", HF_TOKEN="", HF_HOME=str(tmp_path))
    assert done.returncode == 2 and "set HF_TOKEN" in done.stderr and not (tmp_path / "whole").exists()


def test_adapters_to_keep(smoke, tmp_path):
    done = recipe("export", smoke, "--adapters", tmp_path / "kept-adapters")
    assert done.returncode == 0, done.stderr[-2000:]
    kept = tmp_path / "kept-adapters"
    assert json.loads((kept / "dataset-metadata.json").read_text())["id"] == "YOUR-NAME/kept-adapters"
    assert {path.name for path in kept.iterdir()} >= {"foundation", "distill", "grpo", "ladder.md", "README.md"}
    assert not list(kept.rglob("checkpoint-*"))
    assert Chemist(kept).adapter == kept / "grpo"
    again = recipe("export", smoke, "--adapters", kept)
    assert again.returncode == 2 and "is there already" in again.stderr
    nothing = recipe("export", tmp_path, "--adapters", tmp_path / "other")
    assert nothing.returncode == 2 and "no finished phase in it" in nothing.stderr and not (tmp_path / "other").exists()


def test_a_full_disk_is_told_with_the_number(smoke, tmp_path, monkeypatch):
    from recipes import export

    monkeypatch.setattr(export.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(SystemExit):
        export.merge(smoke / "grpo", tmp_path / "whole", "bf16", 2)
    assert list(tmp_path.iterdir()) == []
