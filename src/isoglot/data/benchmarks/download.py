"""Download the published benchmark files: pinned revisions, verified checksums, resumable, never when offline."""

from __future__ import annotations

import glob
import http.client
import os
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from pathlib import Path

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import sha256
from isoglot.core.progress import Progress

HOST = "https://raw.githubusercontent.com/google-research-datasets/lareqa"
REVISIONS = {
    "xquad-r": "9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c",
    # MLQA-R is no longer on the repository's main branch.
    "mlqa-r": "354d67d1cd066854cdfbf5ad0e6105528976141d",
}
SHA256 = {
    "xquad-r": {
        "ar": "c52922d3b8ac1ae03ed5ac38647ad59870dca3dda2beefe18ecdc30729acb69d",
        "de": "16fb0f4bf4916154b585a20c24c66074591c9718a1affe764ff4697572328949",
        "el": "163fd43ee785a30eb534ae2061e9eaa766a7ee4e8ffce5e4b422480c150f64b6",
        "en": "7b0954f39297c27a31fef610f0883337dd2907fa8699151dc922afdd0fa12ffe",
        "es": "f8e836b2d91009c4363e04315f7ede363eedbbb49c67dda60de6c4aa782f58de",
        "hi": "ea45ba8ae4513d1533b222bebdc02a90bc319c055d3aeea68584a053d2e92872",
        "ru": "7f4dff853538b9a5fcc28c070b8bb983a5c5d190ac747b8e005a1ada9cab18f1",
        "th": "c3a041864c3a9fb0b4dd91cfdf99cf36b411b3e704c58a303c97bc6dc786cfe4",
        "tr": "f3e8c13002bbce154a4578f535f7533cb70f3da08840e6b62735935baec7bd94",
        "vi": "e35926bf5cc6fc6ecbdfca49467aabeb454f08d152d7818143a906bd31dde995",
        "zh": "80c2cde7b9c2fb134c303cbb52f2ba396ead9eb0014aec43993543d2ba9e93ed",
    },
    "mlqa-r": {
        "ar": "2132fbc03208535c0fe01f2e2c5121d06f9c2aa799af93b0a719dbc105bdf137",
        "de": "ce9454dc5aa6f2d85c23cd6e49cb367fbb7c4c6e62d7f71e355c6b5dae4d0886",
        "en": "fedd9a5cc0848dda80caf84aa36f482adaae230526a3f6e9e86926a93ef3b1e4",
        "es": "70ecba276b8c96a692b120693a595d076ce94ad21d4b28311538a9fcbfe0f9d7",
        "hi": "4dd0fb3c06f737a5481d705bc1dcac7876712a5815c9265908fbb3a0696cb654",
        "vi": "9d3baff6ba03e6793b25594217265ea59a136b9733833dca8a9582a84a78ff85",
        "zh": "57f01d2fff50cf3392805635b01445339f225ad5bf28ba8443b12f8dbd1e69dc",
    },
}
_TIMEOUT = 30.0
_HOUR = 3600.0  # seconds, after which a part that nothing is written to is a killed process's


def fetch_lareqa(
    name: str,
    folder: Path,
    *,
    langs: tuple[str, ...] | None = None,
    host: str = HOST,
    offline: bool | None = None,
) -> Path:
    """Make sure that a benchmark's files are in a folder, downloading what is missing.

    Args:
        name: `xquad-r` or `mlqa-r`.
        folder: where the `{lang}.json` files go; existing files with the right checksum are kept.
        langs: only these languages; all if None.
        host: root URL of the repository's raw files.
        offline: never connect; None asks `is_offline`.

    Returns:
        The folder.

    Raises:
        InputError: the benchmark or a language is unknown, or downloading is off and files are missing.
        IsoglotError: the download failed, or a file has the wrong checksum.
    """
    sums = SHA256.get(name)
    if sums is None:
        raise InputError(f"benchmark {name}: cannot be downloaded; known: {', '.join(SHA256)}; or give `data_dir`")
    unknown = sorted(set(langs or ()) - set(sums))
    if unknown:
        raise InputError(f"langs: {name} has no {', '.join(unknown)}; it has: {', '.join(sums)}")
    offline = is_offline() if offline is None else offline
    for lang in langs or tuple(sums):
        path = folder / f"{lang}.json"
        if path.is_file() and sha256(path) == sums[lang]:
            continue
        if offline:
            raise InputError(
                f"{path}: missing or with other content, and downloading is off (`offline`, ISOGLOT_OFFLINE or "
                f"HF_HUB_OFFLINE); name the folder of {name} as `data_dir`, or go online"
            )
        _fetch(f"{host}/{REVISIONS[name]}/{name}/{lang}.json", path, sums[lang])
    return folder


def is_offline() -> bool:
    """Whether the environment forbids connections (`ISOGLOT_OFFLINE` or `HF_HUB_OFFLINE`)."""
    return any(os.environ.get(flag, "") not in ("", "0") for flag in ("ISOGLOT_OFFLINE", "HF_HUB_OFFLINE"))


def _fetch(address: str, path: Path, checksum: str) -> None:
    """Download one file to `path`, resuming from the `.part` file of an interrupted download."""
    part, own = path.with_name(f"{path.name}.part"), path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        for left in part.parent.glob(f".{glob.escape(path.name)}.*.part"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _HOUR:
                    left.replace(part)
        with suppress(FileNotFoundError):
            os.utime(part)  # used from now on
            part.replace(own)  # of processes that fetch the file at once, one goes on with the part
        try:
            _download(address, own, path.name)
            seen = sha256(own)
            if seen != checksum:
                own.unlink()
                raise IsoglotError(f"{address}: SHA-256 is {seen}, expected {checksum}; try again or give `data_dir`")
            own.replace(path)
        finally:
            with suppress(FileNotFoundError):
                own.replace(part)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise IsoglotError(
            f"{address}: cannot be fetched ({reason}); try again (it resumes), or give `data_dir`"
        ) from error
    except OSError as error:
        raise IsoglotError(f"{part}: cannot be written ({error.strerror or error})") from error


def _download(address: str, part: Path, name: str) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Range not satisfiable: the part is at least as long as the file, and its checksum decides.
        return
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        with (
            part.open("ab" if resumed else "wb") as out,
            Progress(name, int(length) if length else None) as progress,
        ):
            received = 0
            while block := response.read(1 << 16):
                out.write(block)
                received += len(block)
                progress.advance(len(block))
    if length and received < int(length):
        raise ConnectionError(f"{received} of {length} bytes arrived")
