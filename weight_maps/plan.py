"""What a map does to one checkpoint, worked out from names and shapes alone, with every tensor used exactly once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from weight_maps.patterns import Pattern
from weight_maps.rules.rule import MisfitError, NoInverseError, Rule
from weight_maps.tensors import Spec
from weight_maps.violations import Violation, refuse
from weight_maps.weight_map import Absence, MapRule, WeightMap

Specs = Mapping[str, Spec]
# The value of what the target computes itself when it is built.
OWN = "own"


@dataclass(frozen=True)
class Entry:
    """One rule at work: the tensors that it takes together and what they become.

    Attributes:
        rule: The rule's label.
        sources: Names of the tensors that it takes, in the order of its operands.
        targets: Names of those that they become.
        steps: What is done.
        given: Specs of the sources.
        made: Specs of the targets.
    """

    rule: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    steps: tuple[Rule, ...]
    given: tuple[Spec, ...]
    made: tuple[Spec, ...]

    def stages(self) -> list[list[Spec]]:
        """Return the specs before each step and after the last."""
        stages = [list(self.given)]
        for step in self.steps:
            stages.append(step.specs(stages[-1]))
        return stages

    @property
    def exact(self) -> bool:
        """Whether the way back restores every bit."""
        return all(step.exact(given) for step, given in zip(self.steps, self.stages(), strict=False))

    def inverse(self) -> Entry:
        """Return the entry that goes back.

        Raises:
            NoInverseError: If a step has no inverse.
        """
        steps = [step.inverse(given) for step, given in zip(self.steps, self.stages(), strict=False)]
        return Entry(f"{self.rule} (back)", self.targets, self.sources, tuple(reversed(steps)), self.made, self.given)


@dataclass(frozen=True)
class Alone:
    """A tensor on one side alone.

    Attributes:
        name: Its name.
        spec: Its shape and dtype.
        reason: Why, as the map says.
        value: What it is everywhere, ``arange``, ``own`` for what the target computes itself, ``None`` for anything.
    """

    name: str
    spec: Spec
    reason: str
    value: float | str | None = None

    @property
    def made(self) -> bool:
        """Whether it is made here: not what the target computes itself."""
        return self.value is not None and self.value != OWN


@dataclass(frozen=True)
class Plan:
    """Every entry of a map on one checkpoint.

    Attributes:
        entries: Each rule at work, in the order of the source.
        dropped: What the source has alone.
        initialised: What the target has alone.
        against_target: Whether the names, shapes and dtypes were held against those of a target.
    """

    entries: tuple[Entry, ...]
    dropped: tuple[Alone, ...] = ()
    initialised: tuple[Alone, ...] = ()
    against_target: bool = False

    def targets(self) -> dict[str, Spec]:
        """Return the specs of everything that is produced, by name."""
        made = {name: spec for entry in self.entries for name, spec in zip(entry.targets, entry.made, strict=True)}
        return made | {alone.name: alone.spec for alone in self.initialised if alone.made}

    def inverse(self) -> Plan:
        """Return the plan that goes back; entries without an inverse are left out, see :meth:`one_way`."""
        one_way = {id(entry) for entry, _ in self.one_way()}
        entries = tuple(entry.inverse() for entry in self.entries if id(entry) not in one_way)
        return Plan(entries, self.initialised, tuple(alone for alone in self.dropped if alone.made))

    def one_way(self) -> list[tuple[Entry, str]]:
        """Return the entries that have no inverse, each with the reason."""
        found = []
        for entry in self.entries:
            try:
                entry.inverse()
            except NoInverseError as error:
                found.append((entry, str(error)))
        return found


@dataclass
class _Planning:
    """A plan in the making, and what is wrong with it."""

    source: Specs
    target: Specs | None
    claims: Counter[str] = field(default_factory=Counter)
    claimed_by: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    entries: list[Entry] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def claim(self, names: Iterable[str], rule: str) -> None:
        for name in names:
            self.claims[name] += 1
            self.claimed_by[name].append(rule)


def plan(weight_map: WeightMap, source: Specs, target: Specs | None = None) -> Plan:
    """Work out what a map does.

    Args:
        weight_map: The map.
        source: Specs of the source's tensors by name.
        target: Specs of the target's, where there is a target to hold the result against.

    Raises:
        UserError: If a tensor of the source is not consumed exactly once, or one of the target not produced exactly
            once in its shape and dtype; every such tensor is listed.
    """
    work = _Planning(source, target)
    for rule in weight_map.rules:
        for names, values in _matches(rule, work):
            if _holds(rule, names, values, work):
                _add(rule, names, values, work)
    dropped = _dropped(weight_map.drop, work)
    produced = Counter(name for entry in work.entries for name in entry.targets)
    initialised = _initialised(weight_map.init, work, produced)
    _hold_source(work)
    _hold_target(work, produced, {alone.name for alone in initialised})
    if work.violations:
        refuse(weight_map, work.violations, len(source), None if target is None else len(target))
    order = {name: place for place, name in enumerate(source)}
    entries = sorted(work.entries, key=lambda entry: order[entry.sources[0]])
    return Plan(tuple(entries), tuple(dropped), tuple(initialised), target is not None)


def _matches(rule: MapRule, work: _Planning) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Yield the names that a rule takes together, with the values of the placeholders that both sides share."""
    first, *others = rule.sources
    groups: defaultdict[tuple[tuple[str, str], ...], list[dict[str, str]]] = defaultdict(list)
    for name in work.source:
        values = first.match(name)
        if values is not None:
            shared = tuple(sorted((key, value) for key, value in values.items() if key not in rule.gathered))
            groups[shared].append(values)
    for shared, found in groups.items():
        members = found
        if rule.gathered:
            (over,) = rule.gathered
            members = sorted(found, key=lambda values: int(values[over]) if values[over].isdigit() else -1)
            counted = [values[over] for values in members]
            if counted != [str(place) for place in range(len(members))]:
                detail = f"{{{over}}} counts from 0 without a gap, it is {', '.join(counted[:8])}"
                work.violations.append(Violation("misfit", first.text, rule=rule.label, detail=detail))
        names = tuple(pattern.fill(values) for values in members for pattern in (first, *others))
        yield names, dict(shared)


def _holds(rule: MapRule, names: tuple[str, ...], values: dict[str, str], work: _Planning) -> bool:
    for key, wanted in rule.when.items():
        if key == "rank":
            if len(work.source[names[0]].shape) != wanted:
                return False
        elif isinstance(wanted, Pattern):
            known = work.source if key.startswith("source") else work.target
            # Without a target nothing can be said of its names: the condition then does not decide.
            if known is not None and bool(wanted.matching(known, values)) is not key.endswith("has"):
                return False
    return True


def _add(rule: MapRule, names: tuple[str, ...], values: dict[str, str], work: _Planning) -> None:
    """Add the entry of a rule for the names that it takes together, or what is wrong with it."""
    missing = [name for name in names if name not in work.source]
    work.claim([name for name in names if name in work.source], rule.label)
    if missing:
        work.violations += [Violation("absent", name, rule=rule.label, side="source") for name in missing]
        return
    given = [work.source[name] for name in names]
    specs = given
    try:
        for step in rule.steps:
            specs = step.specs(specs)
    except MisfitError as error:
        work.violations.append(Violation("misfit", ", ".join(names), rule=rule.label, detail=str(error)))
        return
    targets = _targets(rule, values, len(specs))
    if len(targets) != len(specs):
        detail = f"its steps make {len(specs)} tensors, it has names for {len(targets)}"
        work.violations.append(Violation("misfit", ", ".join(names), rule=rule.label, detail=detail))
        return
    rank = rule.when.get("target_rank")
    if rank is not None and len(specs[0].shape) != rank:
        work.claims.subtract(names)
        return
    work.entries.append(Entry(rule.label, names, targets, tuple(rule.steps), tuple(given), tuple(specs)))


def _targets(rule: MapRule, values: dict[str, str], count: int) -> tuple[str, ...]:
    if not rule.scattered:
        return tuple(pattern.fill(values) for pattern in rule.targets)
    (over,) = rule.scattered
    return tuple(
        pattern.fill({**values, over: str(place)})
        for place in range(count // len(rule.targets))
        for pattern in rule.targets
    )


def _dropped(absences: Sequence[Absence], work: _Planning) -> list[Alone]:
    dropped = []
    for absence in absences:
        for name in absence.pattern.matching(work.source, {}):
            work.claim([name], f"drop {absence.pattern.text}")
            dropped.append(Alone(name, work.source[name], absence.reason, absence.value))
    return dropped


def _initialised(absences: Sequence[Absence], work: _Planning, produced: Counter[str]) -> list[Alone]:
    """Return what is made anew: what the target wants and no rule makes, or one for each name of the source."""
    made: dict[str, Alone] = {}
    for absence in absences:
        if absence.value is None:
            if work.target is not None:
                lost = [name for name in absence.pattern.matching(work.target, {}) if not produced[name]]
                work.violations += [Violation("lost", name, side="target", detail=absence.reason) for name in lost]
            continue
        for name in _wanted(absence, work):
            if produced[name]:
                continue
            known = work.target.get(name) if work.target else None
            if known is None and (absence.shape is None or absence.dtype is None):
                continue
            spec = known or Spec(absence.shape or (), absence.dtype or "float32")
            made[name] = Alone(name, spec, absence.reason, absence.value)
    return list(made.values())


def _wanted(absence: Absence, work: _Planning) -> list[str]:
    if work.target is not None:
        return absence.pattern.matching(work.target, {})
    if absence.beside is None:
        return [] if absence.pattern.variables else [absence.pattern.text]
    values = (absence.beside.match(name) for name in work.source)
    return [absence.pattern.fill(value) for value in values if value is not None]


def _hold_source(work: _Planning) -> None:
    for name in work.source:
        if work.claims[name] > 1:
            rules = "; ".join(work.claimed_by[name])
            work.violations.append(Violation("twice", name, work.source[name], side="source", detail=rules))
        elif not work.claims[name]:
            near = list(work.target) if work.target else []
            work.violations.append(Violation("unused", name, work.source[name], side="source", near=near))


def _hold_target(work: _Planning, produced: Counter[str], initialised: set[str]) -> None:
    made = {name: spec for entry in work.entries for name, spec in zip(entry.targets, entry.made, strict=True)}
    for name, count in produced.items():
        if count > 1:
            rules = "; ".join(entry.rule for entry in work.entries if name in entry.targets)
            work.violations.append(Violation("made twice", name, made[name], side="target", detail=rules))
    if work.target is None:
        return
    missing = [name for name in work.target if name not in made and name not in initialised]
    unknown = [name for name in made if name not in work.target]
    lost = {violation.name for violation in work.violations if violation.kind == "lost"}
    for name in missing:
        if name not in lost:
            near = [*unknown, *(n for n in work.source if not work.claims[n])]
            work.violations.append(Violation("missing", name, work.target[name], side="target", near=near))
    for name in unknown:
        work.violations.append(Violation("unknown", name, made[name], side="target", near=missing or list(work.target)))
    for name, spec in made.items():
        if name in work.target and work.target[name] != spec:
            detail = f"the target wants {work.target[name]}"
            work.violations.append(Violation("shape", name, spec, side="target", detail=detail))
