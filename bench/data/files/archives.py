"""Archives: fetched with resuming, unpacked without trust.

An archive is unpacked into a new folder or not at all. Names that lead elsewhere, links,
devices, and more content than was agreed are refused; nothing is written outside.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from bench.errors import UserError

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0 = not known)

MAX_BYTES = 4 << 30  # unpacked
MAX_MEMBERS = 100_000
_CHUNK = 1 << 20


def unpack(
    archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS
) -> None:
    """Unpack a zip or tar archive (plain, gz, bz2, xz) into a folder that does not exist yet.

    Args:
        archive: the file; its kind is told by its content, not by its name.
        folder: is there afterwards only if everything was unpacked.
        max_bytes: the largest total size, unpacked.
        max_members: the largest number of files and folders.

    Raises:
        UserError: if the file is no archive, is damaged, holds more than agreed, or holds
            anything but files and folders inside itself.
    """
    if folder.exists():
        raise ValueError(f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as staging:
        target = Path(staging) / "content"
        target.mkdir()
        room = _Room(archive, target, max_bytes, max_members)
        try:
            with archive.open("rb") as file:
                is_zip = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
            (_unpack_zip if is_zip else _unpack_tar)(archive, room)
        except UserError:
            raise
        except FileNotFoundError:
            raise UserError(f"{archive}: no such file") from None
        except (tarfile.TarError, zipfile.BadZipFile) as error:
            raise UserError(f"{archive}: no archive that can be read ({error})") from error
        except (EOFError, lzma.LZMAError, zlib.error, OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{archive}: cannot be unpacked ({error})") from error
        target.rename(folder)


def download(
    url: str, path: Path, *, known_hash: str | None = None, progress: Progress | None = None
) -> None:
    """Fetch a file over HTTP; what an interrupted attempt has fetched is not fetched again.

    Args:
        url: where from.
        path: the file to write; ``<path>.part`` grows meanwhile.
        known_hash: ``algorithm:hex``, checked if given.
        progress: called with the bytes done and the bytes in all.

    Raises:
        UserError: if it cannot be fetched or is not what the hash says.
    """
    import pooch  # late: only downloading needs it

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    pooch.get_logger().setLevel("WARNING")  # it would print where it downloads from
    try:
        pooch.retrieve(
            url,
            known_hash,
            fname=path.name,
            path=path.parent,
            downloader=lambda url, output, _: _fetch(url, Path(output), part, progress),
        )
    except ValueError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{url}: not the file that was expected ({error})") from error
    except OSError as error:  # requests' exceptions are among them
        reason = " ".join(str(error).split())
        raise UserError(f"{url}: cannot be fetched ({reason}); try again to resume") from error


class _Room:
    """Where an archive is unpacked to, and how much more may come."""

    def __init__(self, archive: Path, folder: Path, max_bytes: int, max_members: int) -> None:
        self.archive = archive
        self.folder = folder
        self.bytes_left = max_bytes
        self.members_left = max_members

    def refuse(self, name: str, why: str) -> UserError:
        return UserError(f"{self.archive}: refused, {name!r} {why}")

    def take(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise UserError(f"{self.archive}: refused, it holds more than was agreed")

    def place(self, name: str) -> Path:
        """Return where a member belongs; its name is what an attacker controls."""
        self.members_left -= 1
        if self.members_left < 0:
            raise UserError(f"{self.archive}: refused, it holds too many files")
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise self.refuse(name, "leads out of the folder")
        if any(ord(character) < 32 or character == ":" for character in name):
            raise self.refuse(name, "is no plain file name")
        return self.folder / path

    def write(self, source: IO[bytes], target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                self.take(len(chunk))
                file.write(chunk)


class _Counted:
    """A stream that may yield only so much, whatever the headers inside say."""

    def __init__(self, stream: IO[bytes], room: _Room) -> None:
        self.stream = stream
        self.room = room
        # Headers and padding come on top of the content: a block or two for each member.
        self.left = room.bytes_left + 4096 * min(room.members_left, MAX_MEMBERS)

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise UserError(f"{self.room.archive}: refused, it holds more than was agreed")
        return data


def _unpack_zip(archive: Path, room: _Room) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise room.refuse(member.filename, "is a link or a device")
            target = room.place(member.filename)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if member.file_size > room.bytes_left:
                raise room.refuse(member.filename, "makes it larger than was agreed")
            with file.open(member) as source:
                room.write(source, target)


def _unpack_tar(archive: Path, room: _Room) -> None:
    with _decompressed(archive) as stream:
        counted: Any = _Counted(stream, room)
        with tarfile.open(fileobj=counted, mode="r|") as file:
            for member in file:
                if not (member.isfile() or member.isdir()):
                    raise room.refuse(member.name, "is a link or a device")
                target = room.place(member.name)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                if member.size > room.bytes_left:
                    raise room.refuse(member.name, "makes it larger than was agreed")
                source = file.extractfile(member)
                if source is not None:
                    room.write(source, target)
        while counted.read(_CHUNK):  # the checksum of a compressed file stands at its end
            pass


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(archive))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(archive))
    if start == b"\xfd7zXZ\x00":
        return lzma.open(archive)
    return archive.open("rb")


def _fetch(url: str, output: Path, part: Path, progress: Progress | None) -> None:
    """Let pooch append to the partial file, then put that where pooch wants it."""
    import pooch

    with part.open("ab") as file:
        # One byte is fetched again, so that a finished part still gets a valid answer.
        have = max(0, file.tell() - 1)
        file.truncate(have)
        reporter = _Reporter(file, have, progress)
        connections = contextlib.ExitStack()  # pooch leaves them open where the transfer fails

        def start(response: Any, **_: object) -> None:
            connections.enter_context(response)
            if have and response.status_code in (200, 416):
                # The server sends everything again, or has another file than before.
                file.truncate(0)
                reporter.before = 0

        fetch = pooch.HTTPDownloader(
            progressbar=reporter,
            chunk_size=_CHUNK,
            headers={"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {},
            hooks={"response": start},
        )
        with connections:
            fetch(url, file, None)
    shutil.move(part, output)


class _Reporter:
    """What pooch takes for a progress bar; the bytes that were there before count as done."""

    def __init__(self, file: IO[bytes], before: int, progress: Progress | None) -> None:
        self.file = file
        self.before = before
        self.progress = progress
        self.total = 0  # pooch sets it to the bytes that this attempt will bring

    def update(self, _: int) -> None:
        if self.progress is not None:
            done = self.file.seek(0, 2)
            self.progress(done, max(done, self.before + self.total))

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass
