#!/usr/bin/env python3
"""Owns what is taken out of the artifact of a fork's run, which may be anything: two named files, of bounded size.

usage: unpack.py FOLDER-OF-THE-DOWNLOAD FOLDER-TO-MAKE
The artifact lies in the first folder as one ZIP file, not unpacked. Nothing of it is run, and none of its names is used
as a path. Ends with 0 and the files in the new folder, or with 1 and the reason.
"""

import json
import stat
import sys
import zipfile
from pathlib import Path

# What is read, and the most bytes of it.
WANTED = {"benchmark_results.json": 64 << 20, "problem.txt": 16 << 10}
# What `perfgate` puts into an artifact; with another file it is of somebody else's making.
KNOWN = WANTED.keys() | {"report.html", "report.md", "junit.xml"}
MOST_PACKED = 64 << 20


class Refused(Exception):
    """The artifact is not one of perfgate's."""


def the_archive(folder: Path) -> Path:
    """The one file of the download."""
    files = list(folder.iterdir())
    if len(files) != 1 or files[0].is_symlink() or not files[0].is_file():
        raise Refused(f"the download is not one file, but {len(files)} entries")
    if files[0].stat().st_size > MOST_PACKED:
        raise Refused(f"it is larger than {MOST_PACKED} bytes")
    return files[0]


def check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuses what is no plain file of perfgate's."""
    if entry.filename not in KNOWN:
        raise Refused(f"it holds {ascii(entry.filename[:80])}, which perfgate does not make")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Refused(f"{entry.filename} is no plain file")


def read_bounded(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file's bytes. The size that the archive claims is not believed."""
    with archive.open(name) as packed:
        data = packed.read(most + 1)
    if len(data) > most:
        raise Refused(f"{name} is larger than {most} bytes")
    return data


def check_content(name: str, data: bytes) -> None:
    """Refuses results that are no JSON object, and text that is none."""
    try:
        text = data.decode("utf-8")
        if name.endswith(".json") and not isinstance(json.loads(text), dict):
            raise Refused(f"{name} holds no results")
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} cannot be read: {type(error).__name__}") from None


def unpack(download: Path, made: Path) -> list[str]:
    """Writes the wanted files that are there; returns their names."""
    with zipfile.ZipFile(the_archive(download)) as archive:
        entries = archive.infolist()
        for entry in entries:
            check_entry(entry)
        names = [entry.filename for entry in entries]
        if len(set(names)) != len(names):
            raise Refused("it holds two files of one name")
        contents = {name: read_bounded(archive, name, most) for name, most in WANTED.items() if name in names}
    if not contents:
        raise Refused("it holds neither results nor a problem")
    for name, data in contents.items():
        check_content(name, data)
    made.mkdir()
    for name, data in contents.items():
        (made / name).write_bytes(data)
    return list(contents)


def main() -> int:
    """Returns the exit code."""
    download, made = map(Path, sys.argv[1:])
    try:
        print("taken from the artifact:", *unpack(download, made))
    except (Refused, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        print(f"the artifact is refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
