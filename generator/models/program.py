"""The program in an archive of torch.export (.pt2), run call by call, without loading it.

torch.export.load unpickles parts of an archive and evaluates strings in it. A program is a list of calls of
operators in JSON: here that list is read, and each call is made by its name, of operators that compute and
do nothing else. Calls that were made in a module are made in a module of that name again, and what has a
module of its own in PyTorch (convolutions, norms, activations, pools) becomes that module: the network can be
looked into as any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.exported import Archive
from generator.models.program_calls import PATH, Call, Device, Value, call_of, names_in
from generator.models.program_modules import module_of


@dataclass(frozen=True)
class _Held:
    """A tensor of the archive that a call reads, kept by a module."""

    owner: nn.Module
    name: str


@dataclass(frozen=True)
class _Step:
    """One call. `outputs` are names, and lists of names; `spent` are values that no later step reads."""

    function: Any
    arguments: Sequence[Any]
    keywords: Mapping[str, Any]
    outputs: Sequence[Any]
    spent: Sequence[str] = ()

    @property
    def reads(self) -> set[str]:
        return {*names_in(self.arguments), *names_in(self.keywords)}


class _Part(nn.Module):
    """Some calls in a row, made in one module: of values by the names in `reads`, those in `writes`."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: list[_Step] = []
        self._reads: Sequence[str] = ()
        self._writes: Sequence[str] = ()

    def consist_of(
        self, steps: Sequence[_Step], reads: Sequence[str], writes: Sequence[str]
    ) -> None:
        """Set the steps, each with what it is the last to read."""
        last = {name: n for n, step in enumerate(steps) for name in step.reads}
        last |= dict.fromkeys(writes, len(steps))
        self._steps = [
            replace(step, spent=[name for name in step.reads if last[name] == n])
            for n, step in enumerate(steps)
        ]
        self._reads, self._writes = reads, writes

    def forward(self, *given: Any) -> Any:
        """The one value that is read elsewhere, or several."""
        values: dict[str, Any] = dict(zip(self._reads, given, strict=True))
        device = next((one.device for one in given if isinstance(one, Tensor)), torch.device("cpu"))
        for step in self._steps:
            arguments = _filled(step.arguments, values, device)
            keywords = _filled(step.keywords, values, device)
            _bind(step.outputs, step.function(*arguments, **keywords), values)
            for name in step.spent:
                values.pop(name, None)
        found = [values[name] for name in self._writes]
        return found[0] if len(found) == 1 else tuple(found)


class Program(_Part):
    """The one program of an archive. `size` is the shape of the tensor that it takes, -1 for any number.

    Its modules and parameters have the names that they had before the export. Raises CutawayError for a
    program that takes or returns something else than one tensor, and for calls that are not made here.
    """

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        program = archive.program["graph_module"]
        graph, signature = program["graph"], program["signature"]
        inputs = dict(_input(one) for one in signature["input_specs"])
        given = [name for name, held in inputs.items() if held is None]
        answers = [_output(one) for one in signature["output_specs"]]
        if len(given) != 1 or len(answers) != 1:
            raise CutawayError(
                f"its program takes {len(given)} tensors and returns {len(answers)}; one each is understood."
            )
        shape = graph["tensor_values"][given[0]]["sizes"]
        self.size = tuple(int(one.get("as_int", -1)) for one in shape)
        held = {name: one for name, one in inputs.items() if one is not None}
        calls = [call_of(node) for node in graph["nodes"]]
        _Builder(self, held, archive.tensors, calls, answers[0]).build(given)
        self.eval()


class _Builder:
    """Makes the modules of a program, and their steps."""

    def __init__(
        self,
        root: _Part,
        held: Mapping[str, str],
        tensors: Mapping[str, Tensor],
        calls: Sequence[Call],
        answer: str,
    ) -> None:
        self._root, self._held, self._tensors = root, held, tensors
        self._calls, self._answer = calls, answer
        self._kept: dict[str, _Held] = {}
        self._readers = Counter(name for call in calls for name in call.reads)

    def build(self, given: Sequence[str]) -> None:
        """Fill the outermost module. Raises CutawayError for a value that nothing makes."""
        known = {*given, *self._held}
        for call in self._calls:
            if not call.reads <= known:
                raise CutawayError(
                    f"its program reads {min(call.reads - known)}, which is not in it."
                )
            known |= {*call.writes}
        self._root.consist_of(self._steps(self._calls, self._root, 0), given, [self._answer])

    def _steps(self, calls: Sequence[Call], parent: nn.Module, depth: int) -> list[_Step]:
        """The steps of some calls in a row, all made in `parent`, `depth` modules below the outermost."""
        steps = []
        for key, group in groupby(
            calls, lambda call: call.stack[depth].key if len(call.stack) > depth else ""
        ):
            row = list(group)
            if not key:
                steps += [self._alone(call, parent, call.name) for call in row]
                continue
            within = row[0].stack[depth]
            name = _below(within.path, row[0].stack[depth - 1].path if depth else "")
            made = self._module(row[0]) if len(row) == 1 else None
            if type(made).__name__ == within.kind:
                steps.append(self._alone(row[0], parent, name))
            else:
                steps += self._part(row, parent, name, depth)
        return steps

    def _part(self, row: Sequence[Call], parent: nn.Module, name: str, depth: int) -> list[_Step]:
        """A module of its own for some calls; nothing where nobody reads what they make."""
        made = dict.fromkeys(name for call in row for name in call.writes)
        inside = Counter(name for call in row for name in call.reads)
        writes = [n for n in made if self._readers[n] > inside[n] or n == self._answer]
        reads = [n for n in inside if n not in made and n not in self._held]
        if not writes:
            return []
        part = _Part()
        _add(parent, name, part)
        part.consist_of(self._steps(row, part, depth + 1), reads, writes)
        return [_Step(part, [Value(one) for one in reads], {}, writes)]

    def _module(self, call: Call) -> nn.Module | None:
        known = {
            name: self._tensors[self._held[value.name]]
            if isinstance(value, Value) and value.name in self._held
            else value
            for name, value in call.given.items()
        }
        return module_of(call.operator, known)

    def _alone(self, call: Call, parent: nn.Module, name: str) -> _Step:
        """A call by itself: by a module where there is one for it, as it stands otherwise."""
        made = self._module(call)
        if made is not None:
            passed = next(value for value in call.given.values() if isinstance(value, Value))
            return _Step(_add(parent, name, made), [passed], {}, call.outputs)
        given = {name: self._own(value) for name, value in call.given.items()}
        arguments = [value for name, value in given.items() if name not in call.keywords]
        return _Step(
            call.function, arguments, {name: given[name] for name in call.keywords}, call.outputs
        )

    def _own(self, value: Any) -> Any:
        """What a call is given, with tensors of the archive in their modules."""
        if isinstance(value, list):
            return [self._own(one) for one in value]
        if not isinstance(value, Value) or value.name not in self._held:
            return value
        held = self._held[value.name]
        if not PATH.fullmatch(held):
            raise CutawayError(f"a tensor in it is called {held!r}.")
        *path, name = held.split(".")
        if held not in self._kept:
            owner, tensor = _within(self._root, path), self._tensors[held]
            name = _free(owner, name)
            if tensor.is_floating_point():
                owner.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
            else:
                owner.register_buffer(name, tensor)
            self._kept[held] = _Held(owner, name)
        return self._kept[held]


def _below(path: str, parent: str) -> str:
    """The path of a module from the one around it."""
    return path.removeprefix(f"{parent}.") if parent else path


def _add(parent: nn.Module, path: str, made: nn.Module) -> nn.Module:
    """Put a module below another. What is called again, or has been, is the module that is there."""
    *inside, name = path.split(".")
    parent = _within(parent, inside)
    there = parent._modules.get(name)
    if there is not None and not isinstance(there, _Part) and _same(there, made):
        return there
    parent.add_module(_free(parent, name), made)
    return made


def _free(module: nn.Module, name: str) -> str:
    """A name that a module has no attribute of."""
    return name if not hasattr(module, name) else _free(module, f"{name}_")


def _within(module: nn.Module, path: Sequence[str]) -> nn.Module:
    """The module at a path, made of empty ones where there is none."""
    for name in path:
        inside = module._modules.get(name)
        if inside is None:
            inside = _Part()
            module.add_module(_free(module, name), inside)
        module = inside
    return module


def _same(there: nn.Module, made: nn.Module) -> bool:
    """Whether two modules are one that is called twice."""
    pairs = zip(there.parameters(), made.parameters(), strict=False)
    return repr(there) == repr(made) and all(a.data_ptr() == b.data_ptr() for a, b in pairs)


def _input(spec: Mapping[str, Any]) -> tuple[str, str | None]:
    """An input of a program and the tensor of the archive that it stands for; None for one that is given."""
    ((kind, stated),) = spec.items()
    if kind in {"parameter", "buffer", "tensor_constant"}:
        return stated["arg"]["name"], stated[f"{kind}_name"]
    if kind == "user_input" and "as_tensor" in stated["arg"]:
        return stated["arg"]["as_tensor"]["name"], None
    raise CutawayError(f"its program takes what is no tensor ({kind}).")


def _output(spec: Mapping[str, Any]) -> str:
    ((kind, stated),) = spec.items()
    if kind != "user_output" or "as_tensor" not in stated["arg"]:
        raise CutawayError(f"its program returns what is no tensor, or changes its own ({kind}).")
    return str(stated["arg"]["as_tensor"]["name"])


def _filled(value: Any, values: Mapping[str, Any], device: torch.device) -> Any:
    if isinstance(value, Value):
        return values[value.name]
    if isinstance(value, _Held):
        return getattr(value.owner, value.name)
    if isinstance(value, Device):
        return device
    if isinstance(value, Mapping):
        return {name: _filled(one, values, device) for name, one in value.items()}
    return [_filled(one, values, device) for one in value] if isinstance(value, list) else value


def _bind(outputs: Sequence[Any], found: Any, values: dict[str, Any]) -> None:
    """Give what a call returned its names."""
    for output, one in zip(outputs, [found] if len(outputs) == 1 else found, strict=True):
        if isinstance(output, list):
            values.update(zip(output, one, strict=True))
        else:
            values[output] = one
