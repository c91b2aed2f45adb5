"""A zip archive, read in place: nothing is unpacked to disk, and threads do not wait for each other.

The rules of `tree.py` give the labels. Members that are links, encrypted, packed by an unsupported method, or larger
than any image when unpacked are set aside; an archive whose members overlap is refused, since only archive bombs are
made that way (D. Fifield, "A better zip bomb", 2019).
"""

import bz2
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from vitrail.core.errors import DataError
from vitrail.data.dataset import Caution, Listed, SetAside
from vitrail.data.in_flight import FILES
from vitrail.data.sources.clutter import is_clutter
from vitrail.data.sources.local import MAX_FILE_BYTES, as_on_disk, written
from vitrail.data.sources.ranges import Ranges, as_file
from vitrail.data.sources.tree import list_names, why_not_inside

LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, then the lengths of name and extra field (APPNOTE.TXT, 4.3.7)
ENCRYPTED, UTF8 = 0x1, 0x800
EXTRA, UNICODE_PATH = struct.Struct("<HH"), 0x7075
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
MOST_DIRECTORY_BYTES = 256 << 20  # some millions of names; it is read whole
BOMB_RATIO, BOMB_BYTES = 200, 10_000_000  # no image shrinks so much, except small ones of a single colour


@dataclass(frozen=True, slots=True)
class Member:
    """The place of a file in the archive, and its size and checksum once unpacked."""

    start: int
    packed: int
    size: int
    method: int
    checksum: int


class ZipArchive:
    """One archive: where each of its files lies.

    `aside` has what is set aside, `unknown` one of the names whose encoding is unknown, if there are any.
    """

    def __init__(self, ranges: Ranges, where: str) -> None:
        """List it; `where` is its name in errors.

        Raises:
            DataError: it is damaged, or an archive bomb.
        """
        self._ranges = ranges
        try:
            with zipfile.ZipFile(as_file(ranges, most=MOST_DIRECTORY_BYTES)) as archive:
                listed = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
            raise DataError(
                f"{where} cannot be read as a zip archive ({error}): it was probably cut off or damaged on its "
                "way here; fetch it again."
            ) from error
        _refuse_overlap(listed, where)
        self.members: dict[str, Member] = {}
        self.aside: list[SetAside] = []
        names, self.unknown = decode_names(listed)
        for info, name in zip(listed, names, strict=True):
            name = name.replace("\\", "/")  # as old tools of Windows wrote it
            if info.is_dir() or name.endswith("/") or is_clutter(name):
                continue
            if reason := _why_not(info, name):
                self.aside.append(SetAside(path=written(name), reason=reason))
                continue
            if name in self.members:
                reason = "the archive holds this name more than once: its last file is used"
                self.aside.append(SetAside(path=written(name), reason=reason))
            self.members[name] = Member(
                info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC
            )

    def read(self, name: str) -> bytes:
        """The bytes of one file; raises OSError if they are not what the archive promised."""
        member = self.members[name]
        header = self._ranges.read_at(member.start, LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
            raise OSError(0, "the archive is damaged where it should begin")
        _, name_length, extra_length = LOCAL_HEADER.unpack(header)
        FILES.take(member.packed + member.size)
        packed = self._ranges.read_at(member.start + LOCAL_HEADER.size + name_length + extra_length, member.packed)
        content = _unpack(packed, member)
        if len(content) != member.size or zlib.crc32(content) != member.checksum:
            raise OSError(0, "its bytes do not match the checksum in the archive")
        return content


class ZipSource:
    """Images in a zip archive."""

    def __init__(self, ranges: Ranges, where: str) -> None:
        """Nothing is read yet; `where` is the archive's name, in errors and as the data set's."""
        self._ranges, self._where = ranges, where

    @property
    def name(self) -> str:
        """The archive's name without its ending."""
        return written(PurePosixPath(self._where).stem) or "data"

    def list_files(self) -> Iterator[Listed]:
        """Every member with its label, or the reason why it has none; DataError if the archive is damaged."""
        yield from self._archive.aside
        if self._archive.unknown is not None:
            yield Caution(
                f"{written(PurePosixPath(self._where).name)} does not say how its names are encoded, and they are not "
                f"UTF-8: they are read in code page 437, as in {written(self._archive.unknown)}. If class names look "
                "wrong, unpack the archive and give the folder, or pack it again with names in UTF-8."
            )
        yield from list_names(list(self._archive.members), self._where, self._archive.read)

    def read(self, path: str) -> bytes:
        """The bytes of one member; raises OSError if they are not what the archive promised."""
        return self._archive.read(as_on_disk(path))

    @cached_property
    def _archive(self) -> ZipArchive:
        return ZipArchive(self._ranges, self._where)


def decode_names(listed: Sequence[zipfile.ZipInfo]) -> tuple[list[str], str | None]:
    """The names of members, and one of those whose encoding is unknown, if there are any.

    A name is UTF-8 if the member says so, or has it in the field 0x7075 (APPNOTE.TXT, 4.6.9). Many programs write UTF-8
    and do not say so: names are read so if all of them can be. Else they are code page 437, as the format has it,
    though a program on Windows writes the code page of its country.
    """
    silent = [info for info in listed if not info.flag_bits & UTF8 and not info.orig_filename.isascii()]
    given = {id(info): _unicode_path(info) for info in silent}
    rest = [info for info in silent if given[id(info)] is None]
    try:
        given |= {id(info): info.orig_filename.encode("cp437").decode() for info in rest}
        unknown = None
    except UnicodeError:
        unknown = rest[0].orig_filename
    return [given.get(id(info)) or info.orig_filename for info in listed], unknown


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    extra, checksum = info.extra, zlib.crc32(info.orig_filename.encode("cp437")).to_bytes(4, "little")
    while len(extra) >= EXTRA.size:
        kind, length = EXTRA.unpack_from(extra)
        content, extra = extra[EXTRA.size : EXTRA.size + length], extra[EXTRA.size + length :]
        if kind == UNICODE_PATH and content[1:5] == checksum:
            return content[5:].decode(errors="replace")
    return None


def _why_not(info: zipfile.ZipInfo, name: str) -> str | None:
    if reason := why_not_inside(info.orig_filename) or why_not_inside(name):
        return reason
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link, which is not followed inside an archive"
    if info.flag_bits & ENCRYPTED:
        return "it is encrypted: unpack the archive with its password first"
    if info.compress_type not in METHODS:
        return f"it is packed by the method {info.compress_type}, which Vitrail cannot read: pack it again with deflate"
    if (larger := max(info.file_size, info.compress_size)) > MAX_FILE_BYTES:
        return f"it is larger than any image ({larger / 1e9:.1f} GB)"
    if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
        return f"it would grow from {info.compress_size:,} to {info.file_size:,} bytes, which no image does: a zip bomb"
    return None


def _refuse_overlap(listed: list[zipfile.ZipInfo], where: str) -> None:
    end, before = 0, ""
    for info in sorted(listed, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise DataError(
                f"{where} is refused: its members {written(before)} and {written(info.filename)} overlap, as they do "
                "only in an archive bomb."
            )
        end, before = info.header_offset + LOCAL_HEADER.size + info.compress_size, info.filename


def _unpack(packed: bytes, member: Member) -> bytes:
    """Never makes more than one byte beyond the promised size: what is longer has no valid checksum anyway."""
    limit = member.size + 1
    try:
        if member.method == zipfile.ZIP_DEFLATED:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit)
        if member.method == zipfile.ZIP_BZIP2:
            return bz2.BZ2Decompressor().decompress(packed, limit)
    except (zlib.error, OSError, ValueError) as error:
        raise OSError(0, "its bytes in the archive are damaged") from error
    return packed
