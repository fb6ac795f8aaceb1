"""A pytest plugin: the fixture ``parity`` asserts in one line that a port is still the same model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity.verdict import ParityResult

_RESULTS = pytest.StashKey[list[tuple[str, "ParityResult"]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--zooport``, which shows what every check measured, those that held too."""
    group = parser.getgroup("zooport")
    group.addoption("--zooport", action="store_true", help="show what every parity check measured")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the results."""
    config.stash[_RESULTS] = []


@pytest.fixture
def parity(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., ParityResult]:
    """Return a function that takes what ``parity.check`` takes and fails the test where the verdict is ``fail``.

    The verdict, the largest ratio and the diagnosis become properties of the test, so that they stand in the JUnit
    file that ``--junitxml`` writes.
    """

    def holds(original: Any, port: Any = None, **options: Any) -> ParityResult:
        from parity.live import check

        result = check(original, port, **options)
        request.config.stash[_RESULTS].append((request.node.nodeid, result))
        ratios = [output.budget.ratio for output in result.outputs if output.budget is not None]
        record_property("zooport.verdict", result.verdict)
        record_property("zooport.ratio", max(ratios, default=0.0))
        record_property("zooport.truth", result.truth)
        if not result.holds:
            record_property("zooport.diagnosis", result.diagnosis)
            pytest.fail(f"the port is not the same model: {result.diagnosis}", pytrace=False)
        return result

    return holds


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the results where ``--zooport`` asks for them."""
    results = config.stash[_RESULTS]
    if not results or not config.getoption("--zooport"):
        return
    terminalreporter.section("zooport")
    for test, result in results:
        terminalreporter.line(f"{result.verdict}  {test}  ({result.cases} inputs, {result.probes} probes)")
        for output in result.outputs:
            held = "exact" if output.budget is None else f"ratio {output.budget.ratio:.3g} of {output.budget.limit:g}"
            terminalreporter.line(f"    {output.name}: {held}, largest difference {output.max_abs:.3g}")
