"""The model of a step among many workers, and its table on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.several_processes import (
    COSTS,
    NETS,
    Cluster,
    Net,
    main,
    not_summed,
    plain,
    repeated,
    shared,
)

PAGE = Path(__file__).parents[2] / "docs" / "several_processes.md"


def test_the_table_is_that_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    text = capsys.readouterr().out
    assert text.startswith("Modelled, not measured")
    table = text[text.index("| net") :].strip()
    assert f"\n{table}\n" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_one_worker_takes_the_passes_alone(net: Net) -> None:
    for m in (1, 64, 640):
        expected = (net.passes * 64 + 3 * m) / (3 * 64)
        for cost in COSTS.values():
            ratio = cost(net, Cluster(1), 64, m) / plain(net, Cluster(1), 64, m)
            assert ratio == pytest.approx(expected)


def test_sums() -> None:
    """Large ones take twice their bytes over the bandwidth, small ones the tree's latency."""
    cluster = Cluster(1024, latency=1e-5, bandwidth=1e10)
    assert cluster.total(1e10) == pytest.approx(2, rel=0.02)
    assert cluster.total(8) == pytest.approx(2 * 10 * 1e-5, rel=0.01)
    assert Cluster(1).total(1e10) == 0


def test_what_the_page_says() -> None:
    for net in NETS:
        one, few, many = (Cluster(k) for k in (1, 8, 1024))
        assert shared(net, many, 64, 64) < not_summed(net, many, 64, 64)
        assert not_summed(net, many, 64, 64) < repeated(net, many, 64, 64)
        grown = shared(net, many, 64, 64) / shared(net, few, 64, 64)
        assert 0.95 < grown < 1.06
        floor = net.passes / 3
        fast = Cluster(64, 5e-6, 1e11)
        ratio = shared(net, fast, 64, 64) / plain(net, fast, 64, 64)
        assert floor < ratio < floor + 0.2
        alone = shared(net, one, 64, 512) / plain(net, one, 64, 512)
        assert alone == pytest.approx(floor + 8)
        assert shared(net, Cluster(64), 64, 512) / plain(net, Cluster(64), 64, 512) < floor + 1.1
