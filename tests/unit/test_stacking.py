"""Cells of plain tables know their columns; all else of a page stays as it is."""

from opsconductor.dashboard.stacking import stackable

TABLE = """<p>before</p><div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">Job</th><th scope="col" class="number">In a row</th></tr></thead>
<tbody>
<tr class="error"><td><a href="/jobs/a">a</a></td><td class="number">2</td></tr>
<tr><th scope="row">b</th><td></td><td>&lt;td one more</td></tr>
</tbody></table></div>"""


def test_each_cell_of_a_plain_table_is_named() -> None:
    assert stackable(TABLE) == (
        TABLE.replace("<table>", '<table class="stacks">')
        .replace("<td><a", '<td data-label="Job"><a')
        .replace('<td class="number"', '<td data-label="In a row" class="number"')
        .replace('<th scope="row">', '<th data-label="Job" scope="row">')
        .replace("<td></td>", '<td data-label="In a row"></td>')
    )


def test_a_map_stays_a_table() -> None:
    for kind in ("week", "matrix"):
        page = TABLE.replace("<table>", f'<table class="{kind}">')
        assert stackable(page) == page
