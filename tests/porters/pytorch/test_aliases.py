"""In-place writes seen through views, bases and other names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def _of(write: Any) -> Any:
    """Return a function that writes into its argument and returns all of it."""

    def function(x: Any) -> Any:
        write(x)
        return x

    return function


def _select_add(x: Any) -> None:
    x[:, 0] += 1


def _range_assign(x: Any) -> None:
    x[..., 1:3] = x[..., 2:4] * 2


def _strided(x: Any) -> None:
    x[..., ::2] = 7.0


def _batch_row(x: Any) -> None:
    x[0] = 5.0


def _batch_rest(x: Any) -> None:
    x[1:] *= 2


def _last(x: Any) -> None:
    x[:, -1, :] = 0


def _masked(x: Any) -> None:
    x[x > 0] = 0


def _masked_values(x: Any) -> None:
    x[x[:, 0, 0] > 0] = torch.arange(5.0, dtype=x.dtype)


def _indexed(x: Any) -> None:
    x[:, torch.tensor([0, 2])] = x[:, :2] * 10


def _indexed_on_view(x: Any) -> None:
    x[:, 1][:, torch.tensor([0, 2])] = -3.0


def _chained(x: Any) -> None:
    x[:, 1:].transpose(1, 2)[:, 0].mul_(3)


def _two_views(x: Any) -> None:
    rows, columns = x[:, 1], x[..., 2]
    rows.add_(1)
    columns.mul_(2)
    rows.sub_(columns[:, :1])


def _split(x: Any) -> None:
    first, second = x.split([2, 3], -1)
    first.add_(second[..., :2])
    second.zero_()


def _unbound(x: Any) -> None:
    for step, row in enumerate(x.unbind(1)):
        row.add_(step)


def _chunks(x: Any) -> None:
    for part in x.chunk(2, 1):
        part.mul_(-1)


def _swapped(x: Any) -> None:
    a, b = x[:, 0].clone(), x[:, 1]
    x[:, 0] = b
    x[:, 1] = a


def _through_copy(x: Any) -> None:
    x.transpose(1, 2).contiguous().add_(100)
    x.transpose(1, 2).reshape(x.shape[0], -1).add_(100)
    x.double().add_(100)
    x.half().float().mul_(0)


def _through_same(x: Any) -> None:
    x.contiguous().add_(1)
    x.reshape(x.shape[0], -1).mul_(2)
    x.to(x.dtype).sub_(3)
    F.dropout(x, 0.5, training=False).add_(4)
    x.detach().mul_(5)


def _symbolic_slice(x: Any) -> None:
    x[: x.shape[0] - 1] += 1


def _filled_rows(x: Any) -> Any:
    rows = torch.zeros(4, 5, dtype=x.dtype)
    rows[1] = x[0, 0]
    rows[2:] += x[0, 2:]
    return rows


def _other_name(x: Any) -> Any:
    a = x
    a.add_(1)
    b = a[:, 0]
    b.zero_()
    return x, a


def _order(x: Any) -> Any:
    before = x * 1
    view = x[:, 1]
    x.mul_(3)
    middle = view + 0.5
    view.add_(1)
    return before, middle, x, view


def _late_views(x: Any) -> Any:
    early = x.view(-1, 20)
    x[:, 0] = 1
    late = early[:, 5:10]
    late.neg_()
    return x, early, late


CASES = {
    "add": _of(lambda x: x.add_(1)),
    "transposed": _of(lambda x: x.transpose(0, 2).add_(x.transpose(0, 2) * 2)),
    "matrix": _of(lambda x: x[0].t().add_(1)),
    "permuted": _of(lambda x: x.permute(2, 0, 1)[1].fill_(3)),
    "moved": _of(lambda x: x.movedim(1, -1)[..., 0].neg_()),
    "relu_on_view": _of(lambda x: F.relu_(x[:, 1:3])),
    "select_add": _of(_select_add),
    "range_assign": _of(_range_assign),
    "strided": _of(_strided),
    "batch_row": _of(_batch_row),
    "last": _of(_last),
    "masked": _of(_masked),
    "masked_values": _of(_masked_values),
    "indexed": _of(_indexed),
    "indexed_on_view": _of(_indexed_on_view),
    "chained": _of(_chained),
    "two_views": _of(_two_views),
    "split": _of(_split),
    "unbound": _of(_unbound),
    "chunks": _of(_chunks),
    "swapped": _of(_swapped),
    "through_copy": _of(_through_copy),
    "through_same": _of(_through_same),
    "diagonal": _of(lambda x: x[..., :4].diagonal(0, 1, 2).zero_()),
    "fill_diagonal": _of(lambda x: x[0].fill_diagonal_(9)),
    "unsqueezed": _of(lambda x: x.unsqueeze(1)[:, 0, 2].add_(4)),
    "flattened": _of(lambda x: x.flatten(1)[:, 3:9].mul_(0.5)),
    "unflattened": _of(lambda x: x.view(-1, 2, 2, 5)[:, 1, 0].exp_()),
    "narrowed": _of(lambda x: x.narrow(2, 1, 3).clamp_(-0.1, 0.1)),
    "copied": _of(lambda x: x[:, :2].copy_(x[:, 2:])),
    "copied_from_int": _of(lambda x: x[:, 0].copy_(torch.arange(5))),
    "index_add": _of(lambda x: x[:, :3].index_add_(1, torch.tensor([0, 0]), x[:, 2:].clone())),
    "masked_fill": _of(lambda x: x[:, 0].masked_fill_(x[:, 1] > 0, -1)),
    "scatter": _of(lambda x: x[..., 0].scatter_(1, torch.zeros(x.shape[0], 1, dtype=torch.long), 6.0)),
    "put_accumulate": _of(lambda x: x[0].index_put_((torch.tensor([0, 0]),), x[0, 1] * 2, accumulate=True)),
    "uninitialised": lambda x: torch.empty_like(x).copy_(x).mul_(2),
    "buffer_of_zeros": lambda x: x.new_zeros(x.shape[0], 4, 7).index_copy_(2, torch.tensor([1, 3, 5, 6, 0]), x),
    "static_buffer": _filled_rows,
    "other_name": _other_name,
    "result_is_target": lambda x: x.add_(1) * x.mul_(2) + x,
    "order_of_reads": _order,
    "view_of_view_after": _late_views,
}  # fmt: skip


def test_every_name_sees_the_write(port_and_compare: Any) -> None:
    port_and_compare(CASES, "batch,4,5")


def test_writes_to_parts_of_symbolic_extent(port_and_compare: Any) -> None:
    cases = {
        "rest": _of(_batch_rest),
        "but_last": _of(_symbolic_slice),
        "last": _of(lambda x: x[-1].neg_()),
        "last_two": _of(lambda x: x[-2:, 1].zero_()),
        "inner": _of(lambda x: x[1:-2].add_(1)),
        "from_the_end": _of(lambda x: x.narrow(0, 1, x.shape[0] - 2).mul_(2)),
        "whole": _of(lambda x: x[:].add_(1)),
        "half": _of(lambda x: x[: x.shape[0] // 2].mul_(-1)),
    }
    port_and_compare(cases, "length,4,2")


class Buffers(torch.nn.Module):
    """Writes to buffers in forward: each call starts from what was registered."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.linspace(-1, 1, 12).reshape(3, 4))
        self.register_buffer("scratch", torch.zeros(3, 4), persistent=False)
        self.weight = torch.nn.Parameter(torch.ones(4))

    def forward(self, x: Any) -> Any:
        table = self.table.clone()
        table[:, 0] = x[0, :3]
        scratch = self.scratch.to(x.dtype).clone()
        scratch[1] += x[0]
        total = x + table.sum() + scratch.sum() + self.weight
        total[:, 1:3] = self.weight[1:3]
        return total, table, scratch


def test_buffers_written_on_a_copy(port_and_compare: Any) -> None:
    port_and_compare(Buffers(), "batch,4")


def test_regions_write_outside(port_and_compare: Any) -> None:
    """A tensor from outside written in a no_grad region, and one from inside written outside."""

    def function(x: Any) -> Any:
        y = x * 2
        with torch.enable_grad():
            y[:, 0] = 1
            z = y[:, 1]
        z.add_(3)
        return y, z

    port_and_compare({"y": function}, "batch,4,5")


def test_a_write_without_inverse_is_refused(refused: Any) -> None:
    assert "unfold" in refused(_of(lambda x: x.unfold(1, 2, 2).add_(1)), "batch,4")


VIEWS = {
    "row": lambda x: x[:, 0],
    "last_row": lambda x: x[:, -1:],
    "middle": lambda x: x[:, 1:3],
    "step": lambda x: x[:, ::2],
    "turned": lambda x: x.transpose(1, x.dim() - 1),
    "deeper": lambda x: x.unsqueeze(1),
    "flat": lambda x: x.flatten(1),
    "folded": lambda x: x.reshape(x.shape[0], -1, 2) if x[0].numel() % 2 == 0 else x.flatten(1),
    "first_part": lambda x: x.split(max(1, x.shape[1] // 2), 1)[0],
    "second_part": lambda x: x.tensor_split(2, 1)[1],
    "one_of_many": lambda x: x.unbind(1)[-1],
    "same": lambda x: x.detach(),
}  # fmt: skip
WRITES = {
    "add": lambda x, s: x.add_(s),
    "scale": lambda x, s: x.mul_(s),
    "fill": lambda x, s: x.fill_(s),
    "mask": lambda x, s: x.masked_fill_(x > 0, s),
    "assign": lambda x, s: x.copy_(x.clone().flip(0) + s),
    "first": lambda x, s: x[:1].add_(s),
    "relu": lambda x, s: x.relu_(),
    "zero": lambda x, s: x.zero_(),
}  # fmt: skip

STEP = st.tuples(st.integers(0, 5), st.sampled_from(sorted(VIEWS)), st.sampled_from(sorted(WRITES)), st.booleans())


class Program(torch.nn.Module):
    """A random program: views of earlier tensors, writes into them, reads in between."""

    def __init__(self, steps: list[tuple[int, str, str, bool]]) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Any) -> Any:
        known, reads = [x.clone()], []
        for number, (source, view, write, read) in enumerate(self.steps):
            base = known[source % len(known)]
            seen = VIEWS[view](base) if base.dim() > 1 and base.shape[1] else base
            known.append(seen)
            WRITES[write](seen, 0.5 + number)
            if read:
                reads.append(known[0] * 2)
        return known + reads


@settings(max_examples=12, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(steps=st.lists(STEP, min_size=2, max_size=5))
def test_random_programs(port_and_compare: Any, steps: list[tuple[int, str, str, bool]]) -> None:
    port_and_compare(Program(steps), "batch,4,3", batches=(1, 3))


@pytest.mark.parametrize("view", ["reshape", "contiguous", "to"])
def test_a_program_read_from_a_file_knows_its_views(view: str, tmp_path: Any, port_and_compare: Any) -> None:
    """Serialising loses which fake tensors share memory; views that may be copies are worked out again."""

    class Ambiguous(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            y = x * 1
            same = {"reshape": y.reshape(-1, 6), "contiguous": y.contiguous(), "to": y.to(torch.float32)}[view]
            turned = y.transpose(1, 2)
            copy = {"reshape": turned.reshape(-1, 6), "contiguous": turned.contiguous(), "to": turned.half()}[view]
            same.add_(1)
            copy.add_(100)
            return y, same

    model = Ambiguous()
    program = torch.export.export(model, (torch.randn(2, 2, 3),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2")
    port_and_compare(model, "batch,2,3", program=loaded)
