"""What a run adds to the history of the status branch. `make bench` measures the same over a thousand runs."""

from tests.performance import packed_history


async def test_a_run_in_a_burst_costs_at_most_a_kibibyte_of_packed_history(tmp_path):
    found = await packed_history.in_bursts(tmp_path, 100)
    assert found.commits == 4, "a burst shares its commits"
    assert found.per_run <= packed_history.IN_BURSTS


async def test_a_run_alone_costs_at_most_four_kibibytes_of_packed_history(tmp_path):
    found = await packed_history.alone(tmp_path, 40)
    assert found.commits == 80
    assert found.per_run <= packed_history.ALONE
