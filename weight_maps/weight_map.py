"""A weight map: the YAML of one pair of namings, read and compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from weight_maps.patterns import Pattern, Tables, compile_patterns
from weight_maps.rules.parse import parse_step
from weight_maps.rules.rule import NoInverseError, Rule
from zoo.errors import UserError, did_you_mean

FORMAT = 1
MAPS = Path(__file__).parent / "maps"
_KEYS = {
    "map",
    "name",
    "summary",
    "source",
    "target",
    "parameters",
    "tables",
    "rules",
    "drop",
    "init",
    "neutral",
    "proof",
}
_CONDITIONS = ("rank", "target_rank", "source_has", "target_has", "source_lacks", "target_lacks")


@dataclass(frozen=True)
class MapRule:
    """One rule of a map: which tensors it takes, what it does, and what they become.

    Attributes:
        label: The rule as messages name it.
        sources: Patterns of the tensors that it takes.
        targets: Patterns of those that they become.
        steps: What is done, in order.
        when: Conditions; all must hold. ``rank`` and ``target_rank`` are numbers of axes, ``source_has`` and its
            like patterns of names that must be (or, ``lacks``, must not be) there.
    """

    label: str
    sources: Sequence[Pattern]
    targets: Sequence[Pattern]
    steps: Sequence[Rule] = ()
    when: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gathered(self) -> frozenset[str]:
        """Placeholders over which the rule collects: they stand on the source side alone."""
        return _variables(self.sources) - _variables(self.targets)

    @property
    def scattered(self) -> frozenset[str]:
        """Placeholders over which the rule spreads: they stand on the target side alone."""
        return _variables(self.targets) - _variables(self.sources)

    def inverse(self) -> MapRule:
        """Return the rule that goes back.

        Raises:
            NoInverseError: If a step has no inverse, or only one that needs shapes which the map does not say.
        """
        count = len(self.sources)
        steps = [_counted(step, count).inverse(None) for step in reversed(self.steps)]
        return MapRule(f"{self.label} (back)", self.targets, self.sources, steps, _turned(self.when))


@dataclass(frozen=True)
class Absence:
    """Tensors that stand on one side alone, and why.

    Attributes:
        pattern: Their names.
        reason: Why the other side has none.
        value: What they are everywhere (a number), or ``arange``; ``None`` where they may be anything.
        again: What they are made as on the way back, where they may be anything (a counter of training steps).
        beside: The other side's names for each of which there is one, so that they can be made again.
        shape: Their shape, where they are to be made without being asked for.
        dtype: Their dtype, likewise.
    """

    pattern: Pattern
    reason: str
    value: float | str | None = None
    beside: Pattern | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    again: float | str | None = None

    def inverse(self) -> Absence:
        """Return what it is on the way back."""
        return replace(self, value=self.again if self.value is None else self.value)


@dataclass(frozen=True)
class WeightMap:
    """The rules from one naming to another.

    Attributes:
        name: Its name in ``zooport map list``.
        summary: One line.
        source: The source naming, as people call it.
        target: The target naming.
        rules: Every rule.
        drop: What the source has and the target has not.
        init: What the target has and the source has not.
        neutral: Patterns of target tensors -> why some of their alternatives change nothing that the model computes.
        proof: Pairs of real models on which the map is proven.
        sha256: Fingerprint of the file, empty for a map that was computed.
        parameters: Values of its parameters.
    """

    name: str
    summary: str
    source: str
    target: str
    rules: Sequence[MapRule]
    drop: Sequence[Absence] = ()
    init: Sequence[Absence] = ()
    neutral: Sequence[tuple[Pattern, str]] = ()
    proof: Sequence[Mapping[str, Any]] = ()
    sha256: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def inverse(self) -> WeightMap:
        """Return the map that goes back: what was dropped is initialised, what was initialised is dropped.

        Raises:
            NoInverseError: Naming the first rule that has none.
        """
        rules = []
        for rule in self.rules:
            try:
                rules.append(rule.inverse())
            except NoInverseError as error:
                raise NoInverseError(f"{rule.label}: {error}") from error
        return replace(
            self,
            name=f"{self.name} (back)",
            source=self.target,
            target=self.source,
            rules=rules,
            drop=self.init,
            init=[absence.inverse() for absence in self.drop],
            neutral=(),
            proof=(),
        )


def _variables(patterns: Sequence[Pattern]) -> frozenset[str]:
    return frozenset(name for pattern in patterns for name in pattern.variables)


def _counted(step: Rule, count: int) -> Rule:
    """Tell a concat how many tensors its rule names, which is how many equal parts its inverse cuts."""
    from weight_maps.rules.joins import Concat

    return replace(step, count=count) if isinstance(step, Concat) and step.sizes is None and count > 1 else step


def _turned(when: Mapping[str, Any]) -> dict[str, Any]:
    turned = {
        "rank": "target_rank",
        "target_rank": "rank",
        "source_has": "target_has",
        "target_has": "source_has",
        "source_lacks": "target_lacks",
        "target_lacks": "source_lacks",
    }
    return {turned[key]: value for key, value in when.items()}


# -- reading -------------------------------------------------------------------------------------------------------


def shipped() -> dict[str, Path]:
    """Return the files of the maps that ship, by name."""
    return {file.stem: file for file in sorted(MAPS.glob("*.yaml"))}


def find_map(reference: str | Path, parameters: Mapping[str, Any] | None = None) -> WeightMap:
    """Return the map of a file, or the one that ships under a name.

    Raises:
        UserError: If there is none, or it cannot be used.
    """
    known = shipped()
    file = known.get(str(reference), Path(reference))
    if not file.is_file():
        raise UserError(
            f"there is no map {str(reference)!r}",
            expected="a YAML file, or a name of `zooport map list`",
            got=str(reference),
            hint=did_you_mean(str(reference), known, "zooport map list"),
        )
    return read_map(file, parameters)


def read_map(file: Path, parameters: Mapping[str, Any] | None = None) -> WeightMap:
    """Read a map.

    Args:
        file: The YAML file.
        parameters: Values for the map's parameters, where its own defaults will not do.

    Raises:
        UserError: If the file is no map, or a rule cannot be read; the place is named.
    """
    import yaml

    text = file.read_bytes()
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError("the map is no YAML", place=str(file), got=str(error)) from error
    return parse_map(data, str(file), parameters, sha256=hashlib.sha256(text).hexdigest())


def describe(file: Path) -> dict[str, Any]:
    """Return what a map says of itself (name, summary, source, target, parameters, proof) without compiling it."""
    import yaml

    data = yaml.safe_load(file.read_bytes())
    described = {key: data.get(key, "") for key in ("summary", "source", "target")}
    return {
        "name": data.get("name", file.stem),
        **described,
        "parameters": data.get("parameters", {}),
        "proof": data.get("proof", []),
    }


def parse_map(data: Any, place: str, parameters: Mapping[str, Any] | None = None, sha256: str = "") -> WeightMap:
    """Return the map that plain data describe; see docs/weight-maps.md for the format.

    Raises:
        UserError: If they describe none.
    """
    if not isinstance(data, dict) or data.get("map") != FORMAT or not isinstance(data.get("rules", []), list):
        raise UserError(
            "this is no weight map", place=place, expected=f"`map: {FORMAT}` and `rules:`", got=_brief(data)
        )
    unknown = set(data) - _KEYS
    if unknown:
        raise UserError(
            "the map has entries that nothing reads", place=place, expected=sorted(_KEYS), got=sorted(unknown)
        )
    tables = {str(name): {str(k): str(v) for k, v in table.items()} for name, table in data.get("tables", {}).items()}
    values = _parameters(data.get("parameters", {}), parameters or {}, place)
    rules = [_rule(entry, tables, values, f"{place}: rule {n}") for n, entry in enumerate(data.get("rules", []), 1)]
    return WeightMap(
        name=str(data.get("name") or Path(place).stem),
        summary=str(data.get("summary", "")),
        source=str(data.get("source", "")),
        target=str(data.get("target", "")),
        rules=rules,
        drop=[_absence(entry, "from", tables, f"{place}: drop {n}") for n, entry in enumerate(data.get("drop", []), 1)],
        init=[_absence(entry, "to", tables, f"{place}: init {n}") for n, entry in enumerate(data.get("init", []), 1)],
        neutral=[_neutral(entry, tables, place) for entry in data.get("neutral", [])],
        proof=data.get("proof", []),
        sha256=sha256,
        parameters=values,
    )


def _brief(data: Any) -> str:
    return f"the entries {', '.join(map(str, data))}"[:200] if isinstance(data, dict) else type(data).__name__


def _parameters(declared: Mapping[str, Any], given: Mapping[str, Any], place: str) -> dict[str, Any]:
    unknown = set(given) - set(declared)
    if unknown:
        raise UserError(
            f"the map has no parameter {', '.join(sorted(unknown))}",
            place=place,
            expected=", ".join(declared) or "a map with parameters",
            got=", ".join(sorted(unknown)),
        )
    values = {name: given.get(name, entry.get("default")) for name, entry in declared.items()}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise UserError(
            f"the map needs a value for {', '.join(missing)}",
            place=place,
            expected="; ".join(f"--set {name}=N: {declared[name].get('help', '')}" for name in missing),
        )
    return values


def _listed(entry: Any) -> list[str]:
    return [str(item) for item in entry] if isinstance(entry, list) else [str(entry)]


def _rule(entry: Any, tables: Tables, parameters: Mapping[str, Any], place: str) -> MapRule:
    if not isinstance(entry, dict) or not {"from", "to"} <= set(entry) or set(entry) - {"from", "to", "do", "when"}:
        raise UserError("a rule has `from`, `to` and, where needed, `do` and `when`", place=place, got=entry)
    given, made = _listed(entry["from"]), _listed(entry["to"])
    sources, targets = compile_patterns(given, made, tables, place)
    do = entry.get("do", [])
    steps = [parse_step(step, parameters, place) for step in (do if isinstance(do, list) else [do])]
    rule = MapRule(f"{', '.join(given)} -> {', '.join(made)}", sources, targets, steps, _when(entry, tables, place))
    if len(rule.gathered) > 1 or len(rule.scattered) > 1 or (rule.gathered and rule.scattered):
        raise UserError(
            "a rule gathers or spreads over one placeholder at most",
            place=place,
            expected="the same placeholders on both sides, but for one that is stacked or unstacked",
            got=f"{sorted(rule.gathered)} and {sorted(rule.scattered)}",
        )
    if any(pattern.variables != _variables(side) for side in (sources, targets) for pattern in side):
        raise UserError("every name on one side of a rule has the same placeholders", place=place, got=rule.label)
    return rule


def _when(entry: Mapping[str, Any], tables: Tables, place: str) -> dict[str, Any]:
    when = entry.get("when", {})
    if not isinstance(when, dict) or set(when) - set(_CONDITIONS):
        raise UserError("the condition is unknown", place=place, expected=", ".join(_CONDITIONS), got=when)
    made: dict[str, Any] = {}
    for key, value in when.items():
        if key.endswith("rank"):
            made[key] = int(value)
            continue
        # Compiled beside the rule's own patterns, so that a placeholder means the same there.
        side = 0 if key.startswith("source") else 1
        sides: list[list[str]] = [_listed(entry["from"]), _listed(entry["to"])]
        sides[side] = [*sides[side], str(value)]
        made[key] = compile_patterns(sides[0], sides[1], tables, place)[side][-1]
    return made


def _absence(entry: Any, key: str, tables: Tables, place: str) -> Absence:
    known = {key, "reason", "value", "for", "shape", "dtype", "again"}
    if not isinstance(entry, dict) or key not in entry or not entry.get("reason") or set(entry) - known:
        raise UserError(f"what stands on one side alone has `{key}` and a `reason`", place=place, got=entry)
    own, other = [str(entry[key])], _listed(entry["for"]) if "for" in entry else []
    sides = (
        compile_patterns(own, other, tables, place) if key == "from" else compile_patterns(other, own, tables, place)
    )
    pattern, beside = (sides[0], sides[1]) if key == "from" else (sides[1], sides[0])
    return Absence(
        pattern[0],
        str(entry["reason"]),
        entry.get("value"),
        beside[0] if beside else None,
        tuple(entry["shape"]) if "shape" in entry else None,
        entry.get("dtype"),
        entry.get("again"),
    )


def _neutral(entry: Any, tables: Tables, place: str) -> tuple[Pattern, str]:
    if not isinstance(entry, dict) or set(entry) != {"to", "reason"}:
        raise UserError("a neutral entry has `to` and `reason`", place=place, got=entry)
    return compile_patterns([], [str(entry["to"])], tables, place)[1][0], str(entry["reason"])
