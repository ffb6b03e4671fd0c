"""Public data sets: the download against a real HTTP server, and the formats that are not CSV."""

import gzip
import hashlib
import io
import re
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openpyxl
import pytest

from chemr_lite.data import sources
from chemr_lite.data.rows import load
from chemr_lite.data.sources import MIXES, SOURCES, File, Hub, fetch
from chemr_lite.errors import DataError

BODY = bytes(range(256)) * 1000
SHA = hashlib.sha256(BODY).hexdigest()
ORIGINALS = Path(__file__).parents[2] / "shared" / "data" / "originals"
needs_originals = pytest.mark.skipif(not ORIGINALS.is_dir(), reason=f"the published files are not at {ORIGINALS}")


class Server(ThreadingHTTPServer):
    """Serves BODY in the way that the path names; `requests` records each path with its first byte."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.cuts = [], 2


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        first = int(re.sub(r"\D", "", self.headers.get("Range", "0")) or 0)
        self.server.requests.append((self.path, first))
        body = BODY[::-1] if self.path == "/wrong" else BODY
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/busy" and len(self.server.requests) < 3:
            return self.send_error(503)
        if self.path == "/down":
            return self.send_error(500)
        if self.path == "/whole":  # a server without range requests
            first = 0
        if first >= len(body):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        if self.path == "/cut" and self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(body[first : first + 70_000])
            return self.connection.close()
        return self.wfile.write(body[first:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def file(server, path, sha256=SHA):
    return File("folder/data.bin", f"http://127.0.0.1:{server.server_address[1]}{path}", sha256)


def test_a_file_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        path = fetch(file(server, "/good"), tmp_path)
        assert path == tmp_path / "folder" / "data.bin" and path.read_bytes() == BODY
    assert server.requests == [("/good", 0)]


def test_an_interrupted_download_is_resumed(server, tmp_path):
    assert fetch(file(server, "/cut"), tmp_path, wait=0).read_bytes() == BODY
    starts = [first for _, first in server.requests]
    assert len(starts) == 3 and starts[0] == 0 < starts[1] < starts[2]


@pytest.mark.parametrize("path", ["/good", "/whole"])
@pytest.mark.parametrize("have", [0, 1000, len(BODY)])
def test_a_part_left_by_a_killed_download_is_used(server, tmp_path, path, have):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.bin.part").write_bytes(BODY[:have])
    assert fetch(file(server, path), tmp_path, wait=0).read_bytes() == BODY
    assert server.requests == [(path, have)]


def test_a_busy_server_is_tried_again(server, tmp_path):
    assert fetch(file(server, "/busy"), tmp_path, wait=0).read_bytes() == BODY
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "path, times, words", [("/missing", 1, "404"), ("/down", sources.ATTEMPTS, "500"), ("/wrong", 1, f"expected {SHA}")]
)
def test_a_failed_download_names_the_way_out(server, tmp_path, path, times, words):
    with pytest.raises(DataError) as error:
        fetch(file(server, path), tmp_path, wait=0)
    assert path in str(error.value) and words in str(error.value)
    assert len(server.requests) == times
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]  # no partial file is left


def test_an_unreachable_server_names_the_way_out(server, tmp_path):
    gone = file(server, "/good")
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="DIR as the data root"):
        fetch(gone, tmp_path, wait=0)


def test_a_changed_copy_in_the_cache_is_noticed(server, tmp_path):
    fetch(file(server, "/good"), tmp_path).write_bytes(b"changed")
    with pytest.raises(DataError, match="delete it"):
        fetch(file(server, "/good"), tmp_path)


def test_a_name_downloads_its_files(server, tmp_path, monkeypatch):
    body = b"reactant,product\nCC(=O)O.CN,CC(=O)NC\n"
    monkeypatch.setattr(f"{__name__}.BODY", body)
    uspto = File("uspto_test.csv", file(server, "/good").url, hashlib.sha256(body).hexdigest())
    monkeypatch.setitem(SOURCES, "chemllmbench", (uspto,))
    monkeypatch.setenv("CHEMR_LITE_CACHE", str(tmp_path))
    assert load(["chemllmbench"]).rows["test"][0]["answer"] == "CC(=O)NC"
    assert (tmp_path / "uspto_test.csv").read_bytes() == body


def test_every_source_is_pinned():
    for files in SOURCES.values():
        for part in files:
            if isinstance(part, File):
                assert part.sha256 or re.search(r"/[0-9a-f]{40}/", part.url), part
                assert not part.path.endswith((".npz", ".pkl"))
    paths = [part.path for files in SOURCES.values() for part in files]
    assert len(set(paths)) == len(paths)


def write_uspto50k(root: Path, split: str, sources: str, targets: str) -> None:
    """Write one split of USPTO-50k as it is published, below a data root."""
    folder = root / "USPTO-50k"
    folder.mkdir()
    (folder / f"{split}_sources").write_text(sources)
    (folder / f"{split}_targets").write_text(targets)


# mixes


def test_a_mix_goes_on_without_what_is_not_there(tmp_path):
    write_uspto50k(tmp_path, "train", "<RX_2> C C ( = O ) N C\n", "C C ( = O ) O . C N\n")
    loaded = load(["chemr"], data_root=str(tmp_path))
    assert [row["answer"] for row in loaded.rows["train"]] == ["CC(=O)O.CN"]
    left_out = {problem.split(":")[0] for problem in loaded.problems if "left out of chemr" in problem}
    assert left_out == {*MIXES["chemr"]} - {"uspto50k"}
    with pytest.raises(DataError, match="none of the files of chemllmbench"):
        load(["chemr"], data_root=str(tmp_path), strict=True)


def test_a_mix_of_nothing_is_an_error(tmp_path):
    with pytest.raises(DataError, match="chemr: no row in it; the first problem: .*ChemLLMBench.*not there"):
        load(["chemr"], data_root=str(tmp_path))


def test_the_large_set_is_loaded_only_by_name():
    assert "smolinstruct" in MIXES["all"] and "smolinstruct" not in MIXES["chemr"]
    assert {*MIXES["all"]} == {*SOURCES}


# formats


def test_uspto50k_is_read_from_its_paired_files(tmp_path):
    sources, targets = "<RX_2> C C ( = O ) N C\n<RX_1> C O C\n", "C C ( = O ) O . C N\nC I . C [O-]\n"
    write_uspto50k(tmp_path, "valid", sources, targets)
    loaded = load(["uspto50k"], data_root=str(tmp_path))
    assert loaded.rows["validation"] == [
        {
            "task": "retrosynthesis",
            "input": "CC(=O)NC",
            "answer": "CC(=O)O.CN",
            "split": "validation",
            "meta": {"class": "2"},
        },
        {"task": "retrosynthesis", "input": "COC", "answer": "CI.C[O-]", "split": "validation", "meta": {"class": "1"}},
    ]
    assert sum("not there, left out of uspto50k" in problem for problem in loaded.problems) == 4


def test_uspto480k_loses_its_atom_maps(tmp_path):
    text = b"[CH3:1][NH2:2].[CH3:3][C:4](=[O:5])[OH:6].Cl>>[CH3:3][C:4](=[O:5])[NH:2][CH3:1] 2-4-1.0\nno reaction\n"
    (tmp_path / "USPTO-480k").mkdir()
    with tarfile.open(tmp_path / "USPTO-480k" / "test.txt.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("test.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    loaded = load(["uspto-forward"], data_root=str(tmp_path))
    assert [(row["input"], row["answer"]) for row in loaded.rows["test"]] == [("CC(=O)O.CN.Cl", "CNC(C)=O")]
    assert any("line 2" in problem for problem in loaded.problems)


def test_excel_is_read_from_its_first_sheet(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Ligand", "Additive", "Base", "Aryl halide", "Output"])
    book.active.append(["CP(C)C", None, "CCN(CC)CC", "Clc1ccccn1", 3.5])
    book.save(tmp_path / "screen.xlsx")
    (row,) = (row for rows in load([str(tmp_path / "screen.xlsx")]).rows.values() for row in rows)
    assert row["input"] == "Clc1ccccn1.Cc1ccc(N)cc1.CP(C)C.CCN(CC)CC>>Cc1ccc(Nc2ccccn2)cc1" and row["answer"] == "No"


def test_a_data_set_of_the_hub_is_read_from_its_files(tmp_path):
    (tmp_path / "ChEBI-20-MM").mkdir()
    for split in ("train", "test"):
        text = f"CID,SMILES,description\n1,{'C' if split == 'train' else 'N'}CO,The molecule is a {split} alcohol.\n"
        (tmp_path / "ChEBI-20-MM" / f"{split}.csv").write_text(text)
    loaded = load(["chebi20"], tasks=["molecule_captioning"], data_root=str(tmp_path))
    assert [(row["split"], row["input"]) for rows in loaded.rows.values() for row in rows] == [
        ("train", "CCO"),
        ("test", "NCO"),
    ]


def test_an_unreachable_hub_names_the_way_out(monkeypatch):
    monkeypatch.setitem(SOURCES, "smolinstruct", (Hub("SMolInstruct", "nobody/nothing-of-that-name", "main"),))
    with pytest.raises(DataError, match="nobody/nothing-of-that-name.*DIR as the data root"):
        load(["smolinstruct"])


@pytest.mark.parametrize("root, words", [("nowhere", "no such folder"), (".", "none of the files of tomg")])
def test_a_data_root_without_the_files_is_reported(tmp_path, root, words):
    with pytest.raises(DataError, match=words):
        load(["tomg"], data_root=str(tmp_path / root))


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path):
    folder = tmp_path / "rxn_yields"
    folder.mkdir()
    (folder / "bh.xlsx").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataError, match=r"bh\.xlsx: its sha256 is"):
        load(["yields"], data_root=str(tmp_path))


# the published files, if they are at hand


@needs_originals
def test_chemllmbench_as_published():
    loaded = load(["chemllmbench"], data_root=str(ORIGINALS))
    sizes = Counter(row["task"] for row in loaded.rows["test"])
    assert len(sizes) == 16 and all(98 <= n <= 100 for n in sizes.values())
    # the full property tables contain the rows of their tests
    assert loaded.removed["train rows with a molecule of a later split"] > 400
    hiv = [row["input"] for row in loaded.rows["test"] if row["task"].endswith("/hiv")]
    assert all(question and "CI" not in question.split() for question in hiv)
    ligands = [row["input"] for row in loaded.rows["test"] if row["task"] == "reagent_selection/ligand"]
    form = re.compile(r"Reactant: .*\nReactant: .*\nBase: .*\nSolvent: (CO|CC#N|C1CCOC1|CN\(C\)C=O)\nList: ")
    assert all(map(form.match, ligands))


@needs_originals
@pytest.mark.slow
def test_the_screens_as_published():
    loaded = load(["yields"], data_root=str(ORIGINALS))
    counts = {
        name: [row for rows in loaded.rows.values() for row in rows if row["task"].endswith(name)]
        for name in ("hartwig", "suzuki")
    }
    assert len(counts["hartwig"]) == 3955 and len(counts["suzuki"]) > 5700 and not loaded.problems
    assert 0.15 < sum(row["answer"] == "Yes" for row in counts["hartwig"]) / 3955 < 0.25


@pytest.mark.slow
@needs_originals
def test_tomg_as_published():
    tasks = ["open_generation/mol_custom_groups", "open_generation/mol_opt_qed"]
    loaded = load(["tomg"], tasks=tasks, data_root=str(ORIGINALS))
    assert len(loaded.rows["test"]) > 9500
