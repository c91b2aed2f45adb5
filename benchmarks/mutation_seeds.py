"""Valid files of every kind that Vitrail reads, small, for `mutations.py` to damage."""

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 40
COMPRESSIONS = ("none", "snappy", "gzip", "brotli", "zstd", "lz4")


def draw(mode: str = "RGB") -> Image.Image:
    """A smooth image in a mode."""
    draws = np.random.default_rng(0)
    coarse = Image.fromarray(draws.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    image = coarse.resize((SIDE, SIDE + 8), Image.Resampling.BICUBIC)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.convert(mode)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def image_seeds() -> Iterator[tuple[str, bytes]]:
    """Images of every format, in the modes and with the metadata that take paths of their own."""
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "jpeg", encode(draw(), "JPEG", exif=exif.tobytes())
    yield "jpeg progressive", encode(draw(), "JPEG", progressive=True)
    yield "jpeg cmyk", encode(draw("CMYK"), "JPEG")
    yield "jpeg grey", encode(draw("L"), "JPEG")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"png {mode}", encode(draw(mode), "PNG")
    yield "png transparent", encode(draw("P"), "PNG", transparency=3)
    yield "gif", encode(draw("P"), "GIF", save_all=True, append_images=[draw("L").convert("P")])
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"bmp {mode}", encode(draw(mode), "BMP")
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield f"tiff {compression}", encode(draw(), "TIFF", compression=compression)
    for mode in ("1", "P", "CMYK", "RGBA", "I;16", "F"):
        yield f"tiff {mode}", encode(draw(mode), "TIFF")
    for mode in ("1", "L", "RGB"):
        yield f"ppm {mode}", encode(draw(mode), "PPM")
    yield "ppm text", b"P3 4 3 1023 " + b"10 200 1023 " * 12
    yield "webp", encode(draw(), "WEBP")
    yield "webp lossless", encode(draw("RGBA"), "WEBP", lossless=True)
    yield "webp animation", encode(draw(), "WEBP", save_all=True, append_images=[draw("L").convert("RGB")])
    yield "avif", encode(draw(), "AVIF")
    yield "jpeg 2000", encode(draw(), "JPEG2000")
    yield "jpeg 2000 codestream", encode(draw("L"), "JPEG2000", no_jp2=True)


def _files() -> dict[str, bytes]:
    return {
        f"{label}/{number}.png": encode(Image.new("RGB", (8, 8), (40 * number, 9, 9)), "PNG")
        for label in ("cat", "dog")
        for number in range(3)
    }


def _zip(files: Mapping[str, bytes], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def archive_seeds() -> Iterator[tuple[str, bytes]]:
    """Archives of every kind, some with a manifest or WebDataset's samples inside."""
    files = _files()
    listed = "path,label\n" + "\n".join(f"{name},{name[:3]}" for name in files)
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED), ("bz", zipfile.ZIP_BZIP2)):
        yield f"{name}.zip", _zip(files, method)
    yield "manifest.zip", _zip(files | {"images.csv": listed.encode()}, zipfile.ZIP_DEFLATED)
    long = {f"{'x' * 120}/{name}": content for name, content in files.items()}
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield f"tar{form}.tar", _tar(files if form == tarfile.USTAR_FORMAT else long, form)
    yield "packed.tar.gz", gzip.compress(_tar(files), mtime=0)
    samples: dict[str, bytes] = {}
    for number, (name, content) in enumerate(files.items()):
        samples[f"{number:04d}.png"] = content
        label = name[:3]
        samples[f"{number:04d}.json"] = json.dumps({"label": label, "more": [1, {"x": None}]}).encode()
        samples[f"{number:04d}.cls"] = label.encode()
    yield "samples.tar", _tar(samples)


def table_seeds() -> Iterator[tuple[str, bytes]]:
    """Manifests in CSV and Parquet, and Parquet with the images inside, in every compression."""
    rows = 24
    manifest = {
        "path": [f"images/{row}.png" for row in range(rows)],
        "label": [("cat", "dog", "caf\u00e9")[row % 3] for row in range(rows)],
        "split": [("train", "val", "test")[row % 3] for row in range(rows)],
        "site": [f"site {row % 4}" for row in range(rows)],
    }
    for name, separator in (("manifest.csv", ","), ("manifest.tsv", "\t")):
        cells = [separator.join(manifest), *(separator.join(row) for row in zip(*manifest.values(), strict=True))]
        yield name, "\r\n".join(cells).encode()
    png = next(iter(_files().values()))
    names = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}
    images = pa.table(
        {
            "image": [{"bytes": png, "path": f"{row}.png"} for row in range(rows)],
            "label": [row % 2 for row in range(rows)],
        }
    ).replace_schema_metadata({"huggingface": json.dumps(names)})
    for compression in COMPRESSIONS:
        version = "2.0" if compression in COMPRESSIONS[::2] else "1.0"
        for name, table in (("manifest", pa.table(manifest)), ("images", images)):
            buffer = io.BytesIO()
            pq.write_table(table, buffer, compression=compression, row_group_size=10, data_page_version=version)
            yield f"{name}_{compression}.parquet", buffer.getvalue()


@cache
def json_seeds() -> tuple[tuple[str, bytes], ...]:
    """The results of a small run."""
    import vitrail

    with tempfile.TemporaryDirectory() as folder:
        vitrail.bench(None, ["vit_mini"], trials=1, near_duplicates=False, progress=False, out=Path(folder) / "run")
        return (("results.json", (Path(folder) / "run" / "results.json").read_bytes()),)
