"""Archives of data: downloaded with pooch, and unpacked without trusting what is inside.

An archive is unpacked into a new folder or not at all. Names that lead out of that folder, links,
devices and more content than allowed are refused before anything is unpacked.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from bench import plain_files
from bench.errors import UserError

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0 = not known)
# Of each member its name, its size in bytes, and whether it is an ordinary file or folder.
Members = Iterable[tuple[str, int, bool]]

_CHUNK = 1 << 20
_TAR_OVERHEAD = 4096  # bytes of headers and padding that a member of a tar archive may take
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
# First bytes → how to open the file for reading.
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open, b"": open}


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_members: int) -> None:
    """Unpack a zip or tar archive (plain, gz, bz2, xz) into a folder that does not exist yet.

    The content of the file tells its kind, not its name. The folder exists afterwards only if
    everything was unpacked. UserError if the file is no archive or no plain file, is damaged, is
    larger than allowed (bytes of content, files and folders), or has anything but files and folders
    inside.
    """
    if folder.exists():
        raise ValueError(f"{folder} exists already")
    plain_files.check(archive)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as staging:
        target = Path(staging) / "content"
        target.mkdir()
        try:
            with archive.open("rb") as file:
                start = file.read(6)
            if start.startswith(_ZIP_STARTS):
                _unpack_zip(archive, target, max_bytes, max_members)
            else:
                plain = Path(staging) / "plain.tar"
                _decompress(archive, start, plain, max_bytes + _TAR_OVERHEAD * max_members)
                _unpack_tar(archive, plain, target, max_bytes, max_members)
        except FileNotFoundError:
            raise UserError(f"{archive}: no such file") from None
        except (tarfile.TarError, zipfile.BadZipFile) as error:
            raise UserError(f"{archive}: no archive that can be read ({error})") from error
        except (EOFError, lzma.LZMAError, zlib.error, OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{archive}: cannot be unpacked ({error})") from error
        target.rename(folder)


def download(url: str, path: Path, *, progress: Progress | None = None) -> None:
    """Download a file over HTTP, completely or not at all; UserError if that fails."""
    import pooch  # late: only downloading needs it

    pooch.get_logger().setLevel("WARNING")  # it would print the address
    with contextlib.ExitStack() as connections:  # pooch does not close them after a failure
        fetch = pooch.HTTPDownloader(
            progressbar=_Reporter(progress) if progress else False,
            chunk_size=_CHUNK,
            hooks={"response": lambda response, **_: connections.enter_context(response)},
        )
        try:
            pooch.retrieve(url, None, path.name, path.parent, downloader=fetch)
        except OSError as error:  # requests' exceptions are among them
            reason = " ".join(str(error).split())
            raise UserError(f"{url}: cannot be downloaded ({reason}); try again") from error


def _unpack_zip(archive: Path, target: Path, max_bytes: int, max_members: int) -> None:
    with zipfile.ZipFile(archive) as file:
        members = ((info.filename, info.file_size, _is_plain(info)) for info in file.infolist())
        _refuse_unsafe(archive, members, max_bytes, max_members)
        for info in file.infolist():
            info.filename = info.filename.replace("\\", "/")  # some programs on Windows write these
            # zipfile writes no more than the size that was checked, and compares the checksum.
            file.extract(info, target)


def _is_plain(info: zipfile.ZipInfo) -> bool:
    # zipfile limits the memory that it decompresses into for these two compressions only.
    bounded = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return bounded and stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)


def _unpack_tar(archive: Path, plain: Path, target: Path, max_bytes: int, max_members: int) -> None:
    with tarfile.open(plain, "r:") as file:
        members = ((info.name, info.size, info.isfile() or info.isdir()) for info in file)
        _refuse_unsafe(archive, members, max_bytes, max_members)
        file.extractall(target, filter="data")


def _refuse_unsafe(archive: Path, members: Members, max_bytes: int, max_members: int) -> None:
    """Raise UserError at the first member that may not be unpacked."""
    total = 0
    for number, (name, size, is_plain) in enumerate(members, 1):
        total += size
        path = PurePosixPath(name.replace("\\", "/"))
        if number > max_members:
            reason = f"it has more than {max_members} files and folders"
        elif size < 0 or total > max_bytes:
            reason = f"its content is larger than {max_bytes} bytes"
        elif not is_plain:
            reason = f"{name!r} is a link, a device or unusually compressed"
        elif path.is_absolute() or ".." in path.parts:
            reason = f"{name!r} leads out of the folder"
        elif any(ord(character) < 32 or character == ":" for character in name):
            reason = f"{name!r} is no plain file name"
        else:
            continue
        raise UserError(f"{archive}: refused, {reason}")


def _decompress(archive: Path, start: bytes, plain: Path, max_bytes: int) -> None:
    """Write the tar archive inside a compressed file, read to its end, where the checksum is."""
    opener: Any = next(way for magic, way in _OPENERS.items() if start.startswith(magic))
    with opener(archive, "rb") as source, plain.open("wb") as file:
        while chunk := source.read(_CHUNK):
            if file.tell() + len(chunk) > max_bytes:
                raise UserError(f"{archive}: refused, its content is larger than allowed")
            file.write(chunk)


class _Reporter:
    """The progress bar that pooch updates."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done, self.total = 0, 0  # pooch sets the total; 0 if the server does not tell

    def update(self, size: int) -> None:
        """Count a chunk. Pooch counts the last one as full, and the whole file at the end."""
        self.done = min(self.done + size, self.total) if self.total else self.done + size
        self.progress(self.done, self.total)

    def reset(self) -> None:
        """Ignored, so that the number of bytes done never falls."""

    def close(self) -> None:
        """Nothing is open."""
