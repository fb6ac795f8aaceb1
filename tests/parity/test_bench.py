"""The benchmark: sides in processes of their own, in turns; a dead side is a row, not a dead harness."""

from __future__ import annotations

from parity.bench import bench


def test_port_and_original_are_timed_in_one_run(conv, tmp_path):
    artifact = conv.copy(tmp_path / "artifact")
    found = bench(artifact, on=["onnxruntime"], original=False, rounds=6)
    (row,) = found.rows
    assert row.error is None
    assert (row.side, row.route, row.samples) == ("port", "onnxruntime", 6)
    assert len(row.calls_ms) == 6
    assert min(row.calls_ms) <= row.p50_ms <= max(row.calls_ms)
    assert 0 < row.p50_ms <= row.p90_ms <= row.p99_ms
    assert row.steady
    assert row.peak_rss_bytes > 1 << 20
    assert artifact.result("bench")["rows"][0]["p50_ms"] == row.p50_ms


def test_a_side_that_cannot_run_is_a_row_with_its_last_words(conv, tmp_path):
    artifact = conv.copy(tmp_path / "artifact")
    found = bench(artifact, on=["onnxruntime"], original=True, rounds=3, save=False)
    original, port = found.rows
    assert "live object" in original.error  # nothing builds this original again
    assert port.error is None
