"""LSTM, GRU and RNN against ONNX's own operators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        pytest.param({"batch_first": True}, "batch,6,5", id="batch-first"),
        pytest.param({"num_layers": 2, "bidirectional": True}, "6,batch,5", id="deep-both-ways"),
        pytest.param({"bias": False, "bidirectional": True, "batch_first": True}, "batch,6,5", id="no-bias"),
        pytest.param({"num_layers": 2, "dropout": 0.3}, "6,5", id="unbatched"),
    ],
)
def test_layers(port_and_compare: Any, kind: Any, options: dict[str, Any], shape: str) -> None:
    torch.manual_seed(0)
    layer = kind(5, 4, **options)
    ported = port_and_compare(layer, shape)
    assert ported.ops[kind.__name__] == options.get("num_layers", 1)


class WithState(nn.Module):
    """A recurrent layer that is given its state, a cell stepped by hand, and relu in an RNN."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(5, 4, 2)
        self.cell = nn.LSTMCell(5, 4)
        self.gru_cell = nn.GRUCell(5, 4)
        self.relu = nn.RNN(5, 4, nonlinearity="relu", bidirectional=True)

    def forward(self, x: Any, h: Any) -> Any:
        state = (h, h * 2)
        stepped = state[0][0], state[1][0]
        for step in x:
            stepped = self.cell(step, stepped)
        return self.lstm(x, state), stepped, self.gru_cell(x[0], h[0]), self.relu(x)


def test_states_and_cells(port_and_compare: Any) -> None:
    port_and_compare(WithState(), "3,batch,5", "2,batch,4")
