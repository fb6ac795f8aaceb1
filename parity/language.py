"""What is said of a language model's logits: the choices at every position, and what is generated greedily."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from parity.guards import Finding
from parity.tolerance import Limits, unit
from zoo.inputs import Feed, InputSpec, numpy_dtype

Arrays = Mapping[str, np.ndarray]
# Tokens that are generated; fewer where one run is dear.
TOKENS, TOKENS_LARGE = 12, 4
# The choices that are compared beside the first.
TOP = 5
# The task whose models may be asked for the next token.
GENERATES = "language-modelling"


@dataclass(frozen=True)
class Generation:
    """A text begun alike and continued greedily by original and port, each on its own.

    Attributes:
        prompt: Tokens given.
        tokens: Tokens that both chose, up to the first difference.
        asked: Tokens asked for.
        near_tie: Whether they differ where the truth itself has two choices as good as equal; ``None`` where they do
            not differ.
        margin: By how much the truth prefers the original's choice there; NaN where they do not differ.
        allowed: The margin that rounding explains.
    """

    prompt: int
    tokens: int
    asked: int
    near_tie: bool | None = None
    margin: float = float("nan")
    allowed: float = float("nan")


@dataclass(frozen=True)
class LanguageResult:
    """One output of logits, port against original on the same tokens (teacher-forced), over all ordinary inputs.

    Attributes:
        output: The output's name.
        run: The run of the port.
        positions: How many positions were compared.
        top1: Share of positions at which both prefer the same token.
        top5: Mean share of the original's first five tokens that are among the port's first five.
        kl: Mean of the Kullback-Leibler divergence of the port's distribution from the original's, in nats.
        kl_largest: Its largest value.
        kl_noise: The mean of the original's own from its float64 truth.
        near_ties: Positions at which the preferred tokens differ and the truth prefers neither beyond rounding.
        wrong: Positions at which they differ and it does.
        generation: What both generate, where the model can.
    """

    output: str
    run: str
    positions: int
    top1: float
    top5: float
    kl: float
    kl_largest: float
    kl_noise: float
    near_ties: int
    wrong: int
    generation: Generation | None = None


@dataclass
class LanguageTally:
    """What is collected of one output in one run."""

    positions: int = 0
    same: int = 0
    among: float = 0.0
    kl: float = 0.0
    kl_largest: float = 0.0
    kl_noise: float = 0.0
    near_ties: int = 0
    wrong: int = 0
    limits: Limits = field(default_factory=Limits)

    def add(self, original: np.ndarray, truth: np.ndarray, port: np.ndarray) -> None:
        """Take in logits of shape (batch, length, vocabulary)."""
        own, exact, theirs = (_rows(array) for array in (original, truth, port))
        mine, other = own.argmax(-1), theirs.argmax(-1)
        count = min(TOP, own.shape[-1])
        first, second = (np.argpartition(-array, count - 1, -1)[:, :count] for array in (own, theirs))
        self.positions += len(own)
        self.same += int((mine == other).sum())
        self.among += float((first[:, :, None] == second[:, None, :]).any(-1).mean(-1).sum())
        divergence = _divergence(own, theirs)
        self.kl += float(divergence.sum())
        self.kl_largest = max(self.kl_largest, float(divergence.max(initial=0.0)))
        self.kl_noise += float(_divergence(exact, own).sum())
        for row in np.flatnonzero(mine != other):
            margin, allowed = tie(own[row], exact[row], int(mine[row]), int(other[row]), original.dtype, self.limits)
            if margin <= allowed:
                self.near_ties += 1
            else:
                self.wrong += 1

    def result(self, output: str, run: str) -> LanguageResult:
        """Return what is said of everything taken in."""
        count = max(self.positions, 1)
        return LanguageResult(
            output, run, self.positions, self.same / count, self.among / count, self.kl / count, self.kl_largest,
            self.kl_noise / count, self.near_ties, self.wrong,
        )  # fmt: skip


def tie(
    own: np.ndarray, truth: np.ndarray, mine: int, other: int, dtype: np.dtype[np.generic], limits: Limits
) -> tuple[float, float]:
    """Return by how much the truth prefers one token to another, and how much of that rounding explains.

    Each logit of a sound port may be as far from the truth as the noise budget's limit of largest differences lets it,
    so that two of them may change places if they are no farther apart than twice that.

    Args:
        own: The original's logits at the position, float64 of what it made.
        truth: Their float64 truth.
        mine: The original's choice.
        other: The port's.
        dtype: The dtype of the original's logits.
        limits: Thresholds.
    """
    noise = max(float(np.abs(own - truth).max()), unit(dtype) * float(np.abs(truth).max()))
    return abs(float(truth[mine] - truth[other])), 2 * limits.max_abs * noise


def _rows(logits: np.ndarray) -> np.ndarray:
    return logits.reshape(-1, logits.shape[-1]).astype(np.float64)


def _divergence(reference: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """Return the divergence of each row's distribution from the reference's, in nats; never below 0 but by rounding."""
    first, second = _log_softmax(reference), _log_softmax(candidate)
    result: np.ndarray = np.maximum((np.exp(first) * (first - second)).sum(-1), 0.0)
    return result


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def logits_of(outputs: Arrays, feed: Feed, specs: Sequence[InputSpec]) -> list[str]:
    """Return the outputs that are logits over a vocabulary: one row for each token that is given."""
    tokens = [spec for spec in specs if spec.kind == "tokens" and len(feed[spec.name].shape) == 2]
    return [
        name
        for name, array in outputs.items()
        if array.dtype.kind == "f"
        and array.ndim == 3
        and any(array.shape == (*feed[spec.name].shape, spec.high) and spec.high > TOP for spec in tokens)
    ]


def findings(results: Sequence[LanguageResult]) -> list[Finding]:
    """Return what speaks against a port: another choice than the original's, and no near-tie."""
    found = []
    for result in results:
        if result.wrong:
            share = f"{result.wrong} of {result.positions} positions"
            detail = f"{share} prefer another token, beyond rounding ({result.run})"
            found.append(Finding(result.output, "top-1", "ordinary", detail))
        made = result.generation
        if made is not None and made.near_tie is False:
            detail = (
                f"after {made.tokens} equal tokens it goes on with another one; the truth prefers the original's by "
                f"{made.margin:.3g}, rounding explains {made.allowed:.3g} ({result.run})"
            )
            found.append(Finding(result.output, "generation", "greedy", detail))
    return found


# -- generation ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Writer:
    """Feeds for a text that grows token by token.

    Attributes:
        specs: The inputs' signature; every input has the axes (batch, length).
        length: The fixed length of the inputs; 0 where any length goes.
    """

    specs: Sequence[InputSpec]
    length: int

    def feed(self, tokens: Sequence[int]) -> Feed:
        """Return the inputs for one text; what a fixed length leaves over is masked and comes after it."""
        feed: Feed = {}
        size = self.length or len(tokens)
        for spec in self.specs:
            row = np.zeros(size, np.int64)
            if spec.kind == "tokens":
                row[: len(tokens)] = tokens
            elif spec.kind == "mask":
                row[: len(tokens)] = 1
            elif spec.kind == "positions":
                row = np.arange(size)
            batch = spec.shape[0] if isinstance(spec.shape[0], int) else 1
            feed[spec.name] = np.repeat(row[None], batch, 0).astype(numpy_dtype(spec.dtype))
        return feed


def writer(specs: Sequence[InputSpec]) -> Writer | None:
    """Return how to feed a growing text, ``None`` where an input is of another kind than tokens, mask and the like."""
    known = ("tokens", "mask", "segments", "positions")
    if not all(spec.kind in known and len(spec.shape) == 2 for spec in specs):
        return None
    if sum(spec.kind == "tokens" for spec in specs) != 1:
        return None
    lengths = {spec.shape[1] for spec in specs}
    fixed = {size for size in lengths if isinstance(size, int)}
    if len(lengths) > 1:
        return None
    return Writer(specs, fixed.pop() if fixed else 0)


def generate(
    pen: Writer,
    prompt: Sequence[int],
    asked: int,
    run: Callable[[Feed], tuple[np.ndarray, np.ndarray]],
    truth: Callable[[Feed], np.ndarray],
    limits: Limits,
) -> Generation:
    """Continue a text greedily with original and port until they differ.

    Args:
        pen: Makes the feeds.
        prompt: The tokens that the text begins with.
        asked: How many tokens are to follow.
        run: Returns the logits (batch, length, vocabulary) of the original and of the port.
        truth: Returns the original's in float64; asked for only where they differ.
        limits: Thresholds.
    """
    tokens = list(prompt)
    room = asked if not pen.length else min(asked, pen.length - len(prompt))
    for step in range(room):
        feed = pen.feed(tokens)
        own, port = (logits[0, len(tokens) - 1] for logits in run(feed))
        mine, other = int(own.argmax()), int(port.argmax())
        if mine != other:
            exact = truth(feed)[0, len(tokens) - 1].astype(np.float64)
            margin, allowed = tie(own.astype(np.float64), exact, mine, other, own.dtype, limits)
            return Generation(len(prompt), step, room, margin <= allowed, margin, allowed)
        tokens.append(mine)
    return Generation(len(prompt), room, room)


@dataclass
class Speech:
    """Collects what original and port say of the same tokens, and lets both go on by themselves.

    Attributes:
        specs: The inputs' signature.
        limits: Thresholds.
        tallies: What was collected, by (output, run).
        prompt: The first tokens of the first input, from which both go on.
    """

    specs: Sequence[InputSpec]
    limits: Limits
    tallies: dict[tuple[str, str], LanguageTally] = field(default_factory=dict)
    prompt: list[int] = field(default_factory=list)

    def take_in(self, original: Arrays, truth: Arrays, ports: Mapping[str, Arrays], feed: Feed) -> None:
        """Take in one ordinary input."""
        for name in logits_of(original, feed, self.specs):
            for run, port in ports.items():
                if name in port and port[name].shape == original[name].shape == truth[name].shape:
                    tally = self.tallies.setdefault((name, run), LanguageTally(limits=self.limits))
                    tally.add(original[name], truth[name], port[name])
            if not self.prompt:
                tokens = next(feed[spec.name] for spec in self.specs if spec.kind == "tokens")
                self.prompt = [int(token) for token in tokens[0, : max(1, tokens.shape[1] // 2)]]

    def results(
        self,
        asked: int,
        answers: Callable[[Feed], tuple[Arrays, Mapping[str, Arrays]]],
        truth: Callable[[Feed], Arrays],
    ) -> list[LanguageResult]:
        """Return what is said of every output of logits; ``asked`` tokens are generated from the first, 0 for none.

        Args:
            asked: Tokens to generate.
            answers: Returns the outputs of the original, and of the port by run.
            truth: Returns the original's in float64.
        """
        results = [tally.result(name, run) for (name, run), tally in self.tallies.items()]
        pen = writer(self.specs)
        if not asked or pen is None:
            return results

        def continued(result: LanguageResult) -> LanguageResult:
            def both(feed: Feed) -> tuple[np.ndarray, np.ndarray]:
                original, ports = answers(feed)
                return original[result.output], ports[result.run][result.output]

            made = generate(pen, self.prompt, asked, both, lambda feed: truth(feed)[result.output], self.limits)
            return replace(result, generation=made)

        first = results[0].output if results else ""
        return [continued(result) if result.output == first else result for result in results]
