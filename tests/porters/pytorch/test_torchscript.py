"""TorchScript files: scripted and traced modules are ported and held to the file's own module."""

from __future__ import annotations

import pytest

from parity import check
from porters.porting import port
from zoo.errors import UserError
from zoo.inputs import InputSpec

torch = pytest.importorskip("torch")
nn = torch.nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, x):  # TorchScript reads annotations
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


SPECS = [InputSpec("x", "float32", ("batch", 3, 8, 8), "image")]


@pytest.mark.parametrize("kind", ["script", "trace"])
def test_a_saved_module_is_ported_and_checked(tmp_path, kind):
    torch.manual_seed(0)
    model = Net().eval()
    saved = torch.jit.script(model) if kind == "script" else torch.jit.trace(model, torch.randn(2, 3, 8, 8))
    torch.jit.save(saved, tmp_path / "net.pt")
    artifact = port(f"torchscript:{tmp_path / 'net.pt'}", SPECS, tmp_path / "a")
    assert [node.op_type for node in artifact.model().graph].count("Conv") == 1
    result = check(artifact)
    assert result.holds, result.diagnosis
    assert result.truth != "recorded"


def test_without_inputs_their_names_are_told(tmp_path):
    torch.jit.save(torch.jit.script(Net().eval()), tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"--input for each of x"):
        port(f"torchscript:{tmp_path / 'net.pt'}", out=tmp_path / "a")


def test_what_is_no_torchscript_is_refused(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"no archive")
    with pytest.raises(UserError, match="no TorchScript module"):
        port(f"torchscript:{tmp_path / 'net.pt'}", SPECS, tmp_path / "a")
    with pytest.raises(UserError, match="does not exist"):
        port(f"torchscript:{tmp_path / 'none.pt'}", SPECS, tmp_path / "a")
