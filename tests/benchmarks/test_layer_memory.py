"""The memory of a comparison layer by layer, of a model whose activations alone exceed the limit."""

from __future__ import annotations

import wide_model

from parity.child import Limits, run_apart


def test_the_peak_stays_under_the_limit_where_the_activations_alone_exceed_it(tmp_path):
    limit = 720 << 20
    found = run_apart(wide_model.compared, (str(tmp_path / "a"), limit), Limits())
    print(f"\nactivations {found['activations'] >> 20} MiB, limit {limit >> 20} MiB, peak {found['peak'] >> 20} MiB")  # noqa: T201
    assert found["activations"] > limit
    assert found["peak"] < limit
    assert found["segments"] > 4
    assert "fail" not in found["verdicts"]
