"""RotaryEmbedding by halves and interleaved, as transformers and timm write it."""

from __future__ import annotations

from typing import Any

import pytest

from porters.pytorch.sources import need
from zoo.inputs import InputSpec

torch = pytest.importorskip("torch")
HEADS, WIDTH = 2, 8
X = ("batch", HEADS, "sequence", WIDTH)
FREQUENCIES = 1.0 / 100.0 ** (torch.arange(0, WIDTH, 2) / WIDTH)


def halves(x: Any) -> Any:
    return torch.cat((-x[..., WIDTH // 2 :], x[..., : WIDTH // 2]), -1)


def pairs(x: Any) -> Any:
    return torch.stack((-x[..., 1::2], x[..., 0::2]), -1).flatten(-2)


class Rotary(torch.nn.Module):
    """The usual spelling by halves, with a hole for each thing that can be done otherwise."""

    def angles(self, length: int) -> Any:
        return torch.outer(torch.arange(length).float(), FREQUENCIES)

    def doubled(self, angles: Any) -> Any:
        return torch.cat((angles, angles), -1)

    def turned(self, x: Any) -> Any:
        return halves(x)

    def forward(self, x: Any) -> Any:
        angles = self.doubled(self.angles(x.shape[-2]))
        return x * angles.cos() + self.turned(x) * angles.sin()


class Interleaved(Rotary):
    def doubled(self, angles: Any) -> Any:
        return angles.repeat_interleave(2, -1)

    def turned(self, x: Any) -> Any:
        return pairs(x)


class LengthFirst(Rotary):
    """(batch, length, heads, width), as GPT-J has it."""

    def forward(self, x: Any) -> Any:
        angles = self.doubled(self.angles(x.shape[1]))[None, :, None, :]
        return x * angles.cos() + self.turned(x) * angles.sin()


class InterleavedLengthFirst(LengthFirst, Interleaved):
    pass


class Llama(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        need("transformers", "text")
        from transformers import LlamaConfig
        from transformers.models.llama import modeling_llama

        self.apply_rotary = modeling_llama.apply_rotary_pos_emb
        config = LlamaConfig(hidden_size=HEADS * WIDTH, num_attention_heads=HEADS)
        self.tables = modeling_llama.LlamaRotaryEmbedding(config)

    def forward(self, x: Any, positions: Any) -> Any:
        return self.apply_rotary(x, 2 * x, *self.tables(x, positions))


@pytest.mark.parametrize(
    ("build", "shape", "interleaved"),
    [
        (Rotary, X, 0),
        (Interleaved, X, 1),
        (LengthFirst, ("batch", "sequence", HEADS, WIDTH), 0),
        (InterleavedLengthFirst, ("batch", "sequence", HEADS, WIDTH), 1),
    ],
)
def test_one_node_and_the_same_function(port: Any, build: Any, shape: Any, interleaved: int) -> None:
    ported = port(build(), x=shape)
    assert ported.node("RotaryEmbedding").attributes["interleaved"].value == interleaved
    assert ported.ops["Neg"] == ported.ops["Add"] == 0
    ported.assert_same()


def test_positions_of_each_row(port: Any) -> None:
    positions = InputSpec("positions", "int64", ("batch", "sequence"), "tokens", high=50)
    ported = port(Llama(), x=InputSpec("x", "float32", X), positions=positions)
    assert ported.ops["RotaryEmbedding"] == 2
    assert ported.ops["Cos"] == ported.ops["Sin"] == 1
    assert ported.ops["Concat"] == ported.ops["Expand"] == 0
    ported.assert_same()


@pytest.mark.parametrize(("doubled", "turned"), [("cat", halves), ("repeat", pairs)])
def test_constant_tables_are_halved(port: Any, doubled: str, turned: Any) -> None:
    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            angles = torch.outer(torch.arange(6).float(), FREQUENCIES)
            wide = torch.cat((angles, angles), -1) if doubled == "cat" else angles.repeat_interleave(2, -1)
            self.register_buffer("angles", wide, persistent=False)

        def forward(self, x: Any) -> Any:
            return x * self.angles.cos() + turned(x) * self.angles.sin()

    ported = port(Fixed(), x=("batch", HEADS, 6, WIDTH))
    assert ported.ops["RotaryEmbedding"] == 1
    ported.assert_same(lengths=(6,))


class OtherSplit(Rotary):
    def turned(self, x: Any) -> Any:
        return torch.cat((-x[..., 6:], x[..., :6]), -1)


class SignFlipped(Rotary):
    def turned(self, x: Any) -> Any:
        return torch.cat((x[..., 4:], -x[..., :4]), -1)


class Swapped(Rotary):
    def turned(self, x: Any) -> Any:
        return torch.cat((-x[..., :4], x[..., 4:]), -1)


class OddEven(Interleaved):
    def turned(self, x: Any) -> Any:
        return torch.stack((-x[..., 0::2], x[..., 1::2]), -1).flatten(-2)


class OtherPairing(Rotary):
    """Halves turned by angles that are doubled element by element."""

    def doubled(self, angles: Any) -> Any:
        return angles.repeat_interleave(2, -1)


class NotDoubled(Rotary):
    def doubled(self, angles: Any) -> Any:
        return torch.cat((angles, 2 * angles), -1)


class Minus(Rotary):
    def forward(self, x: Any) -> Any:
        angles = self.doubled(self.angles(x.shape[-2]))
        return x * angles.cos() - self.turned(x) * angles.sin()


class OfAnother(Rotary):
    def turned(self, x: Any) -> Any:
        return halves(x.sin())


class TurnedSeen(Rotary):
    def forward(self, x: Any) -> Any:
        angles = self.doubled(self.angles(x.shape[-2]))
        turned = self.turned(x)
        return x * angles.cos() + turned * angles.sin(), turned


class TableFed(Rotary):
    def forward(self, x: Any, table: Any) -> Any:
        return x * table + self.turned(x) * table


NEAR_MISSES = [OtherSplit, SignFlipped, Swapped, OddEven, OtherPairing, NotDoubled, Minus, OfAnother, TurnedSeen]


@pytest.mark.parametrize("build", NEAR_MISSES)
def test_a_near_miss_is_left_alone(port: Any, build: Any) -> None:
    ported = port(build(), x=X)
    assert ported.ops["RotaryEmbedding"] == 0
    ported.assert_same(batches=(2,), lengths=(5,))


def test_a_table_that_is_fed_proves_nothing(port: Any) -> None:
    ported = port(TableFed(), x=X, table=("sequence", WIDTH))
    assert ported.ops["RotaryEmbedding"] == 0


def test_provenance_stays(port: Any) -> None:
    node = port(Rotary(), x=X).node("RotaryEmbedding")
    sources = node.metadata_props["zooport.fused"].split(",")
    assert {"neg", "mul", "add"} <= {name.partition("_")[0] for name in sources}
    assert node.metadata_props["zooport.node"] == sources[-1]
