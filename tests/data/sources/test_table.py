import io

import pyarrow as pa
import pyarrow.parquet as pq

from vitrail.data.sources.table import lists_images, read_rows


def test_a_table_is_a_manifest_by_its_columns():
    assert lists_images(b'\xef\xbb\xbf"Path";"Label"\nx;y\n', "a.csv")
    assert not lists_images(b"name,age\n", "a.csv")
    file = io.BytesIO()
    pq.write_table(pa.table({"path": ["a"], "label": ["b"]}), file)
    assert lists_images(file.getvalue(), "a.parquet")
    assert not lists_images(b"no parquet", "a.parquet")


def test_rows_come_from_bytes_as_they_do_from_a_file():
    (row,) = read_rows(b"label\tpath\n cat \ta.jpg\n\n", "a.tsv")
    assert (row.number, row.path, row.label, row.split, row.group) == (2, "a.jpg", "cat", "", "")
