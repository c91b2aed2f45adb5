from dataclasses import replace

from tests.delivery.examples import make_run
from tests.delivery.report.pages import parse
from vitrail.delivery.report import render_report
from vitrail.delivery.report.spread import compare_spread


def test_each_kind_of_luck_has_its_own_column_and_backbones_are_compared_split_by_split():
    results, predictions = make_run(["a", "b", "c"])
    rows = parse(render_report(results, predictions, images=None)).by_id("luck").one("tbody").all("tr")
    first, second = compare_spread(results)
    cells = [cell.text for cell in rows[0].all("td")]
    assert f"{100 * first.test.value:.1f}%" in cells[0]
    assert cells[2:4] == ["± 2.00", "± 2.50"]
    assert {row.all("td")[5].text for row in rows} == {"no random step", "± 0.20 over 3"}
    assert rows[0].all("td")[6].text == ""
    assert rows[1].all("td")[6].text.startswith(f"in {second.ahead} of 3, by ")


def test_a_backbone_whose_seeds_were_not_many_says_so_and_one_without_splits_is_left_out():
    results, predictions = make_run(["a", "b", "c"])
    one, other = results.backbones
    few = replace(other, search=replace(other.search, seeds=other.search.seeds[:1]))
    none = replace(one, search=replace(one.search, splits=None))
    (row,) = compare_spread(replace(results, backbones=(none, few)))
    assert (row.name, row.seeds, row.ahead) == (other.name, "one seed", None)
    neither = replace(results, backbones=(none, replace(few, search=replace(few.search, splits=None))))
    assert 'id="luck"' not in render_report(neither, predictions, images=None)
