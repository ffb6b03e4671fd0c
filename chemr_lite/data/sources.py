"""Public data sets by name: files at a pinned commit, downloaded once, checked and cached.

`load(["chemllmbench"])` downloads the files into `$CHEMR_LITE_CACHE` (by default `~/.cache/chemr-lite`). With
`data_root=DIR` the same files are read from `DIR/<path>` instead. None of them is shipped with this package.
ChemLLMBench publishes its yields as pickles, which are never read. `yields` has the screens they come from.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from chemr_lite.errors import DataError

ATTEMPTS = 5
NOT_DATA = (b"<!doctype", b"<html", b"<?xml", b"version https://git-lfs")  # what comes in the place of a file
_GITHUB = "https://raw.githubusercontent.com"
_GITHUB_LFS = "https://media.githubusercontent.com/media"


@dataclass(frozen=True)
class File:
    """A file at `url`, kept as `path` below the data root. `sha256` is None where the commit in `url` alone pins it."""

    path: str
    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Hub:
    """A data set on the Hugging Face hub, read with `datasets`. `path` below the data root is a folder of its files."""

    path: str
    repo: str
    revision: str


# commits that have the full property tables, the 100-row tests of them, and the selection tests
_FULL, _TESTS = "7815275720f740a409164aaaf10da13100ba44fc", "69b36d8c63167e77e9c1e6cd3b64ec720772e646"
_SELECTION = "bfec9a900a5ec62a1bc20c9c46eb8d5b95165013"
_BENCH = f"{_GITHUB}/ChemFoundationModels/ChemLLMBench"
_CHEBI = f"{_GITHUB}/blender-nlp/MolT5/754f9bffa4a638e2f1386d0ca19b5c3ed0a5b4aa/ChEBI-20_data"
_USPTO_50K = f"{_GITHUB}/pandegroup/reaction_prediction_seq2seq/bf58e93be7b25924e6cd50ede7ed9ddf582d8372/processed_data"
_USPTO_480K = f"{_GITHUB}/connorcoley/rexgen_direct/2c0b3aa89dff22adcdf68d7b05a0ba8a9de0efc9/rexgen_direct/data"
_TOMG = f"{_GITHUB_LFS}/phenixace/TOMG-Bench/9f02ed4f7ed296770dea7cae9554d6eaf95f9f7a/data"
_SCREENS = f"{_GITHUB}/rxn4chemistry/rxn_yields/d9e6b87ce1b881978490d68bfc00021e3b48127a/data"


def _bench(commit: str, path: str, sha256: str | None = None) -> File:
    return File(f"ChemLLMBench/{path}", f"{_BENCH}/{commit}/data/{path}", sha256)


def _property(name: str, sha256: str | None = None) -> File:
    return _bench(_TESTS if "_test" in name else _FULL, f"property_prediction/{name}", sha256)


def _selection(name: str, sha256: str) -> File:
    return _bench(_SELECTION, f"reagent_selection/{name}", sha256)


def _chebi(name: str, sha256: str) -> File:
    return File(f"ChEBI-20/{name}", f"{_CHEBI}/{name}", sha256)


def _uspto50k(name: str) -> File:
    return File(f"USPTO-50k/{name}", f"{_USPTO_50K}/{name}")


def _uspto480k(name: str) -> File:
    return File(f"USPTO-480k/{name}", f"{_USPTO_480K}/{name}")


def _tomg_test(folder: str, sha256: str) -> File:
    path = f"{folder}/test.csv"
    return File(f"TOMG-Bench/{path}", f"{_TOMG}/benchmarks/open_generation/{path}", sha256)


SOURCES: dict[str, tuple[File | Hub, ...]] = {
    "chemllmbench": (
        _property("BBBP.csv", "6aecd84110e8c0549bc4e2e486c52267d4e775178fca8999f5465029e31e75bb"),
        _property("BBBP_test.csv", "2e034dcfbf7e27419cc37e71186e3ba1b5007c70edf70574337eafd426f04f4a"),
        _property("BACE.csv"),
        _property("BACE_test.csv", "f6189b9a32bb8c4f3d3124e532bdc432cfff0df6cdb0553516cec77975018023"),
        _property("HIV.csv"),
        _property("HIV_test.csv", "34151644fa228b01b67cb88e240f3b978b49200a303d29aee2b47aab5688c271"),
        _property("ClinTox.csv", "0bd655529cebe6d94addd48b8afdab6fa0438b4503a470866231793f235d7e61"),
        _property("ClinTox_test.csv", "bdaed1ad9f5df5f3ec2a5085646e3b346d58713127924870a52539cf7666f58b"),
        _property("Tox21.csv", "1689278aa402ef8da840be1126c547253338d390cc8526714910a3b2a39fa1c9"),
        _property("Tox_test.csv", "0b4d47e7e96fd3817b8ff9819ac3d642a29bf53fef84c4fa62d6839ac7c1fee4"),
        _bench(
            "d2acb0fdaaadd6fcc3a9ab1c2d0a8d240c4ff982",
            "name_prediction/llm_test.csv",
            "39efd9d1d70706bb0337303617eee5a37074e1225b389190e9b59901110d30b4",
        ),
        _bench(
            "31ae47346e6620447d3c0c5c91c3fd6d3401367a",
            "molecule_captioning/molecule_captioning_test.csv",
            "a4f5d4a60147fe79237c9c44ab798db0c636a8cebc2afc8279fe3f5ab7a1038b",
        ),
        _bench(
            "bfe38b3c0f7278e033fbfd0527fa822e5644c450",
            "reaction_prediction/uspto_test.csv",
            "d0ce379bfa4f53f64d813244438294261d3a4f4ae72f6cf737d1190267f44ea9",
        ),
        _bench(
            "45057d84d17afbfb38294cd055548fa61b21d7d2",
            "retro/uspto50k_retro_test.csv",
            "6411bc700036f485a4f8307447789b1ba09fd7dff19a900f92ac1d872ba17246",
        ),
        _selection("reagent_sample.csv", "9a74586ea55412395f27e02f01e0a289a289982fc87e887c73f00fa6987158df"),
        _selection("solvent_sample.csv", "981cff32934252c65a320a2aa089d50737aaed4bc25af6300957e405fb3c7589"),
        _selection("ligand_sample.csv", "1c43f4ab41759c25754db81be3e5c468fc8b80ec7f0162b94d062a7b16b7e082"),
    ),
    "chebi20": (
        Hub("ChEBI-20-MM", "liupf/ChEBI-20-MM", "main"),
        _chebi("validation.txt", "f410b58e6825986577d01b4f0c14b59ed61c1343a15118ba584de4bbcea1508c"),
        _chebi("test.txt", "91776254b54ef13ad701ede0ecdbd7bcd30c19a66e52aa34a6dac8d0e7306d72"),
    ),
    "uspto50k": tuple(
        _uspto50k(f"{split}_{side}") for split in ("train", "valid", "test") for side in ("sources", "targets")
    ),
    "uspto-forward": (_uspto480k("valid.txt.tar.gz"), _uspto480k("test.txt.tar.gz")),
    "tomg": (
        File(
            "TOMG-Bench/OpenMolIns/small/train.csv",
            f"{_TOMG}/OpenMolIns/small/train.csv",
            "c3ab54a708140409c6f84292da1f7f628cd3cc2e6d160da333c6a8b0ff3f2873",
        ),
        _tomg_test("MolEdit/AddComponent", "3f5629b58caaa5c183880517ed53e9ffe47c70ee460cfb91cd60ef05e08a9f8a"),
        _tomg_test("MolEdit/DelComponent", "ec54606c8c65db4e85736fcdb8c0e942141bdc9274f662f55a5112c276ebb4f2"),
        _tomg_test("MolEdit/SubComponent", "246f18d71a1f0a643d961ae1f2ed279c49bcb2fe80fbd2efaae8d765499d495a"),
        _tomg_test("MolOpt/LogP", "e5e191c610d6366cf3a33cd66dcafc2681bce6c543b00c22426ec49b41639bda"),
        _tomg_test("MolOpt/MR", "21f6cdaad392f6759b126cd061907ad747a82640824e9db8accc8de8e6ab0cc5"),
        _tomg_test("MolOpt/QED", "41984f19d392c8c7b518b5134fdf1bcc50d6e98bddc6db46049865256fa2f0ac"),
        _tomg_test("MolCustom/AtomNum", "a286675f997f0c3ee8c363b55cd829f60c2c3f000815689b47cce137b84fc67d"),
        _tomg_test("MolCustom/BondNum", "f5773b02afd62a8adfc23dcc718a71404ea8d570e771932c654ccd2a025c5f39"),
        _tomg_test("MolCustom/FunctionalGroup", "686bd135006dda9e00b3f0efd52b289af49b3cd8c1d75340f818516e482f5e80"),
    ),
    "yields": (
        File(
            "rxn_yields/bh.xlsx",
            f"{_SCREENS}/Buchwald-Hartwig/Dreher_and_Doyle_input_data.xlsx",
            "d7f318abfbb42eaadca482b1e9aa54540eeed60e0089b6a0eb4e75366c31ee2e",
        ),
        File(
            "rxn_yields/suzuki.xlsx",
            f"{_SCREENS}/Suzuki-Miyaura/aap9112_Data_File_S1.xlsx",
            "a869e020ba31bd5676c67a4791c3b7384711b5216de6af444b8cd0a24c284640",
        ),
    ),
    "smolinstruct": (Hub("SMolInstruct", "osunlp/SMolInstruct", "refs/convert/parquet"),),
}

# `chemr` has what Chem-R is measured on, without the three million rows of SMolInstruct
MIXES = {
    "chemr": ("chemllmbench", "chebi20", "uspto50k", "uspto-forward", "tomg", "yields"),
    "all": tuple(SOURCES),
}

# as stated by the repositories that the files come from
LICENCES = {
    "nano": "Apache-2.0, made by chemr-lite's generator",
    "chemllmbench": "none given by its repository",
    "chebi20": "MIT (ChEBI-20-MM), BSD-3 (MolT5); the descriptions are ChEBI's, CC BY 4.0",
    "uspto50k": "Apache-2.0; the reactions are CC0",
    "uspto-forward": "GPL-3.0 for the repository; the reactions are CC0",
    "tomg": "none given by its repository",
    "yields": "MIT; measured by Ahneman et al. 2018 and Perera et al. 2018",
    "smolinstruct": "see its page on the hub",
}


def names() -> list[str]:
    """Return the names that stand for public data sets and for mixes of them."""
    return [*SOURCES, *MIXES]


def members(name: str) -> tuple[str, ...]:
    """Return the sources of a mix. Any other name stands for itself."""
    return MIXES.get(name, (name,))


def cache() -> Path:
    """Return the folder that keeps downloaded files."""
    return Path(os.environ.get("CHEMR_LITE_CACHE", "~/.cache/chemr-lite")).expanduser()


def check(path: Path, file: File) -> Path:
    """Return `path` if its content is the one that `file` pins. Raises DataError if it is not, or is a web page."""
    with path.open("rb") as opened:
        start = opened.read(100).lstrip().lower()
    if start.startswith(NOT_DATA):
        raise DataError(f"{path}: holds a web page or a pointer instead of the data: delete it to download it again")
    if file.sha256:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != file.sha256:
            raise DataError(f"{path}: its sha256 is {digest}, expected {file.sha256}: delete it to download it again")
    return path


def fetch(file: File, folder: Path | None = None, wait: float = 1.0) -> Path:
    """Return the cached copy of `file`, downloaded on first use.

    An interrupted download is resumed, and a file gets its name only after its content has been checked. The pause
    between attempts starts at `wait` seconds and doubles. Raises DataError with the URL and the way out after ATTEMPTS
    attempts.
    """
    import requests  # optional: only downloads need it

    path = (folder or cache()) / file.path
    if path.exists():
        return check(path, file)
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    by_hand = f"download it yourself to DIR/{file.path} and name DIR as the data root"
    for attempt in range(ATTEMPTS):
        try:
            _download(file, part)
            break
        except requests.HTTPError as error:
            if error.response.status_code < 500:
                raise DataError(
                    f"{file.url}: {error.response.status_code} {error.response.reason}; {by_hand}"
                ) from error
            problem = error
        except requests.RequestException as error:
            problem = getattr(error.args[0], "reason", error) if error.args else error  # the cause of "max retries"
        if attempt + 1 < ATTEMPTS:
            tqdm.write(f"{file.path}: {problem}; trying again", file=sys.stderr)
            time.sleep(wait * 2**attempt)
    else:
        raise DataError(f"{file.url} cannot be downloaded ({problem}); {by_hand}")
    try:
        check(part, file)
    except DataError as error:
        part.unlink()  # a wrong file must not be resumed
        raise DataError(f"{file.url}: {error}") from error
    return part.rename(path)


def _download(file: File, part: Path) -> None:
    """Append the missing bytes to `part`. Raises requests' exceptions, also for a connection that ends too early."""
    import requests  # optional: only downloads need it

    start = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    with requests.get(file.url, headers=headers, stream=True, timeout=30) as response:
        if response.status_code == 416:  # `part` is complete
            return
        response.raise_for_status()
        resumed = response.status_code == 206
        start *= resumed  # a server without ranges sends the whole file
        total = int(response.headers.get("Content-Length", 0)) + start
        bar = tqdm(total=total or None, initial=start, desc=file.path, unit="B", unit_scale=True, delay=1, leave=False)
        with part.open("ab" if resumed else "wb") as opened, bar:
            for chunk in response.iter_content(1 << 16):
                opened.write(chunk)
                bar.update(len(chunk))
        if total and part.stat().st_size != total:
            raise requests.ConnectionError(f"cut off after {part.stat().st_size} of {total} bytes")


def hub_lines(hub: Hub, root: Path | None) -> Iterator[tuple[str, dict]]:
    """Yield the (split, line) pairs of a data set on the hub, or of the same files below `root`. Raises DataError."""
    import datasets  # optional and slow to import

    try:
        location = {"path": str(root / hub.path)} if root else {"path": hub.repo, "revision": hub.revision}
        loaded = datasets.load_dataset(**location)
    except Exception as error:  # the hub, the network and the file formats each raise their own
        message = " ".join(str(error).split())[:200]
        raise DataError(
            f"{hub.repo}: cannot be loaded from the hub ({type(error).__name__}: {message}); "
            f"download it yourself to DIR/{hub.path} and name DIR as the data root"
        ) from error
    for split, lines in loaded.items():
        for line in lines:
            yield split, line
