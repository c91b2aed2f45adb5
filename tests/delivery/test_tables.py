import pyarrow as pa

from tests.delivery.examples import make_run
from vitrail.delivery.tables import BACKBONES, PAIRS, backbones_table, pairs_table


def test_a_figure_that_is_not_defined_is_null_and_the_columns_stay_the_same():
    results = make_run(("chow", "pug"))[0]
    table, pairs = backbones_table(results), pairs_table(results)
    assert table.schema.equals(BACKBONES)
    assert pairs.schema.equals(PAIRS)
    assert table.schema.metadata == {b"level": b"0.95"}
    undefined = [result.test.top5 is None for result in results.backbones]
    assert table["top5"].is_null().to_pylist() == undefined
    assert table["brier_high"].to_pylist() == [result.test.brier.high for result in results.backbones]


def test_one_backbone_has_a_table_of_pairs_without_rows():
    pairs = pairs_table(make_run(("chow", "pug"), backbones=1)[0])
    assert (pairs.num_rows, pairs.column_names) == (0, PAIRS.names)
    assert pairs.schema.field("difference").type == pa.float64()
