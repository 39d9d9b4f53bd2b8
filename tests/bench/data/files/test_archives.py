import functools
import http.server
import io
import stat
import tarfile
import threading
import zipfile

import numpy as np
import pytest

from bench.data.files import archives
from bench.errors import UserError

unpack = functools.partial(archives.unpack, max_bytes=4 << 30, max_members=100_000)

FILES = {"top/a.bin": b"a" * 5000, "top/deep/b.txt": b"", "c d.txt": "ä".encode()}


def write_zip(path, files, *, mode=None, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
            file.writestr(info, content)


def write_tar(path, files, *, compression="xz", kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, f"w:{compression}") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            file.addfile(info, io.BytesIO(content))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "in" / "archive"


@pytest.fixture(autouse=True)
def only_the_results_remain(tmp_path, archive):
    archive.parent.mkdir()
    yield
    remaining = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert remaining <= {"in", "out"}
    assert [path.name for path in (tmp_path / "out").glob(".*")] == []


@pytest.mark.parametrize("kind", ["zip", "", "gz", "bz2", "xz"])
def test_the_content_of_an_archive_tells_its_kind(kind, archive, tmp_path):
    if kind == "zip":
        write_zip(archive, FILES)
    else:
        write_tar(archive, FILES, compression=kind)
    unpack(archive, tmp_path / "out" / "new")
    assert contents(tmp_path / "out" / "new") == FILES


def test_folders_in_an_archive_are_created(archive, tmp_path):
    write_zip(archive, {"empty/": b""}, mode=stat.S_IFDIR | 0o755)
    unpack(archive, tmp_path / "out" / "zip")
    write_tar(archive, {"empty": b""}, kind=tarfile.DIRTYPE)
    unpack(archive, tmp_path / "out" / "tar")
    assert (tmp_path / "out" / "zip" / "empty").is_dir()
    assert (tmp_path / "out" / "tar" / "empty").is_dir()


def test_backslashes_in_a_zip_separate_folders(archive, tmp_path):
    write_zip(archive, {"top\\a": b"x"})
    unpack(archive, tmp_path / "out" / "new")
    assert contents(tmp_path / "out" / "new") == {"top/a": b"x"}


def test_an_existing_folder_is_not_written_into(archive, tmp_path):
    write_zip(archive, FILES)
    with pytest.raises(ValueError, match="exists already"):
        unpack(archive, tmp_path)


def lying_zip(path):
    """A zip whose directory says 10 bytes where there are 10 million."""
    write_zip(path, {"a": bytes(10_000_000)})
    content = path.read_bytes()
    size = (10_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))


def negative_tar(path):
    """A tar whose first member claims less than no bytes, to make up for a large one."""
    small, large = tarfile.TarInfo("a"), tarfile.TarInfo("b")
    small.size, large.size = -2_000_000, 2_000_000
    header = [info.tobuf(tarfile.GNU_FORMAT) for info in (small, large)]
    path.write_bytes(header[0] + header[1] + bytes(2_000_000 + 10_240))


def cut(path, write):
    write(path, {"a": np.random.default_rng(0).bytes(100_000)})
    path.write_bytes(path.read_bytes()[:50_000])


def encrypted(path):
    write_zip(path, {"a": b"secret"})
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    path.write_bytes(content)


BOTH = {"zip": write_zip, "tar": write_tar}
BAD_NAMES = ["../x", "a/../../x", "/x", "..\\x", "\\x", "C:\\x", "a\nb"]
HOSTILE = {
    f"{name!r} in a {kind}": (lambda path, write=write, name=name: write(path, {name: b"x"}))
    for name in BAD_NAMES
    for kind, write in BOTH.items()
} | {
    "a link in a tar": lambda path: write_tar(
        path, {"a": b""}, kind=tarfile.SYMTYPE, link="/etc/passwd"
    ),
    "a hard link in a tar": lambda path: write_tar(
        path, {"a": b""}, kind=tarfile.LNKTYPE, link="../../x"
    ),
    "a device in a tar": lambda path: write_tar(path, {"a": b""}, kind=tarfile.CHRTYPE),
    "a pipe in a tar": lambda path: write_tar(path, {"a": b""}, kind=tarfile.FIFOTYPE),
    "a link in a zip": lambda path: write_zip(path, {"a": b"/etc"}, mode=stat.S_IFLNK | 0o777),
    "a bomb in a zip": lambda path: write_zip(path, {"a": bytes(2_000_000)}),
    "a bomb in a tar": lambda path: write_tar(path, {"a": bytes(2_000_000)}),
    "a bomb in many files": lambda path: write_zip(
        path, {f"{i}": bytes(90_000) for i in range(15)}
    ),
    "a bomb that lies": lying_zip,
    "a bomb in a zip with an unusual compression": lambda path: write_zip(
        path, {"a": bytes(900_000)}, compression=zipfile.ZIP_LZMA
    ),
    "a negative size in a tar": negative_tar,
    "a bomb in a tar's header": lambda path: write_tar(path, {"a" * 3_000_000: b""}),
    "too many files": lambda path: write_zip(path, {f"{i}": b"" for i in range(101)}),
    "too many files in a tar": lambda path: write_tar(path, {f"{i}": b"" for i in range(101)}),
    "one file in another": lambda path: write_zip(path, {"a": b"x", "a/b": b"y"}),
    "a name without end": lambda path: write_zip(path, {"a" * 300: b"x"}),
    "half a zip": lambda path: cut(path, write_zip),
    "half a tar.xz": lambda path: cut(path, write_tar),
    "half a tar.gz": lambda path: cut(path, functools.partial(write_tar, compression="gz")),
    "half a tar": lambda path: cut(path, functools.partial(write_tar, compression="")),
    "a zip with a password": encrypted,
    "text": lambda path: path.write_text("This is no archive. " * 100),
    "nothing": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "no file at all": lambda path: None,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_unsafe_archive_is_refused_as_a_whole(kind, archive, tmp_path):
    HOSTILE[kind](archive)
    with pytest.raises(UserError) as error:
        archives.unpack(archive, tmp_path / "out" / "new", max_bytes=1_000_000, max_members=100)
    assert str(error.value).startswith(f"{archive}: ")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "new").exists()


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_damaged_end_is_noticed(compression, archive, tmp_path):
    write_tar(archive, FILES, compression=compression)
    content = bytearray(archive.read_bytes())
    content[-5] ^= 0xFF  # in the checksum of the whole
    archive.write_bytes(content)
    with pytest.raises(UserError):
        unpack(archive, tmp_path / "out" / "new")


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one content, which may break off after some bytes."""

    content = np.random.default_rng(0).bytes(3_000_000)
    breaks_after = None
    tells_the_size = True

    def do_GET(self):
        if self.path != "/file":
            self.send_error(404)
            return
        self.send_response(200)
        if self.tells_the_size:
            self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: self.breaks_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        handler.url = f"http://127.0.0.1:{listening.server_port}/file"
        yield handler
        listening.shutdown()
        thread.join()


def test_a_download_reports_its_progress(server, tmp_path):
    told = []
    target = tmp_path / "out" / "file"
    archives.download(server.url, target, progress=lambda done, total: told.append((done, total)))
    assert target.read_bytes() == server.content
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    done, total = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[0] < done[-1] == len(server.content)
    assert set(total) == {len(server.content)}


def test_a_download_of_unknown_size_reports_its_progress_too(server, tmp_path):
    server.tells_the_size = False
    told = []
    target = tmp_path / "out" / "file"
    archives.download(server.url, target, progress=lambda *numbers: told.append(numbers))
    assert target.read_bytes() == server.content
    done, total = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] > 0
    assert set(total) == {0}


def test_a_broken_download_leaves_nothing_and_can_be_repeated(server, tmp_path):
    target = tmp_path / "out" / "file"
    server.breaks_after = 1_100_000
    with pytest.raises(UserError, match=r"cannot be downloaded .* try again") as error:
        archives.download(server.url, target)
    assert "\n" not in str(error.value)
    assert list(target.parent.iterdir()) == []
    server.breaks_after = None
    archives.download(server.url, target)
    assert target.read_bytes() == server.content


def test_a_missing_file_is_a_users_mistake(server, tmp_path):
    with pytest.raises(UserError, match="404") as error:
        archives.download(f"{server.url}s", tmp_path / "out" / "file")
    assert "\n" not in str(error.value)
