"""The inputs that a fuzzer starts from.

Those with a name, each a rule or a fault that there was, are the files of seeds/NAME. What a merge has
chosen for its coverage is seeds/NAME.zip, one file instead of hundreds that nobody reads.
"""

import pathlib
import re
import shutil
import zipfile

HERE = pathlib.Path(__file__).resolve().parent / "seeds"
CHOSEN = re.compile("[0-9a-f]{16}")  # libFuzzer names an input by its hash


def named(name):
    """The files with names."""
    folder = HERE / name
    return sorted(folder.iterdir()) if folder.is_dir() else []


def unpack(name, into):
    """All seeds of a fuzzer as files of the folder `into`, which has nothing else then. Returns it."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for path in named(name):
        shutil.copy(path, into)
    archive = HERE / f"{name}.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as chosen:
            for entry in filter(CHOSEN.fullmatch, chosen.namelist()):
                (into / entry).write_bytes(chosen.read(entry))
    return into


def pack(name, paths):
    """Makes these files the chosen ones. The same files give the same archive."""
    with zipfile.ZipFile(HERE / f"{name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(paths, key=lambda path: path.name):
            archive.writestr(zipfile.ZipInfo(path.name[:16], (1980, 1, 1, 0, 0, 0)), path.read_bytes(), zipfile.ZIP_DEFLATED)
