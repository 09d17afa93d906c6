"""In which order a graph's forms are tried for a machine, and what is done about one that loses too much.

=============  =========  ================================================================
family         target     forms
=============  =========  ================================================================
convolutional  x86, arm   static int8, float16 weights, float32
convolutional  tensorrt   static int8, float16, float32
transformer    x86, arm   dynamic int8, int8 weights, float16 weights, float32
transformer    tensorrt   float16, float32
either         cuda       float16, float32
=============  =========  ================================================================

Remedies of int8, cheapest first: the detection head in float32; on x86 weights of eight bits; more and more
of the most sensitive nodes in float32; ranges without the rarest values; on ARM unsigned activations. On
processors the weights of what stays in float32 are stored in float16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from edge.errors import ExportError
from edge.vision.manifest import Target
from export.gate import Candidate
from export.network import PartName, Traits
from export.quantise import (
    Material,
    Ranges,
    Scheme,
    dynamic_int8,
    half_compute,
    half_weights,
    int8_weights,
    precision_name,
    quantised,
    scheme_for,
)
from export.quantise.dynamic import activation_products
from export.quantise.scheme import GATED
from export.request import CPUS, Options, Precision

Route = Literal["int8-static", "int8-dynamic", "int8-weights", "fp16", "fp32"]
STATIC, DYNAMIC, WEIGHTS = "int8 QDQ", "int8 dynamic", "int8 weights"
MOST_SENSITIVE = (2, 4, 8, 16)
"""How many of the most sensitive nodes are left in float32, one try after the other."""

_ASKED_FOR = "left out as asked"
_HEAD = "the head's results lose most of what int8 loses"
_SENSITIVE = "the most sensitive, measured one by one"
_RARE = "ranges without the rarest values"
_FINE = "weights of 8 bits, which x86 without VNNI may saturate with"
_UNSIGNED = "unsigned activations"


@dataclass(frozen=True)
class Plan:
    """What all candidates of one graph and one target share."""

    traits: Traits
    material: Material
    target: Target
    options: Options
    ranking: Callable[[], Sequence[str]]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Nodes that stay in float32 in every int8 form."""
        return left_out_of(self.traits, self.options)

    @property
    def why(self) -> str:
        """They do."""
        reasons = [] if self.options.whole else [self.traits.why]
        if self.options.leave_out:
            reasons.append(_ASKED_FOR)
        return "; ".join(filter(None, reasons))


def candidates(
    traits: Traits,
    material: Material,
    *,
    part: PartName,
    target: Target,
    precision: Precision,
    options: Options,
    ranking: Callable[[], Sequence[str]],
) -> Iterator[Candidate]:
    """One candidate for each form of a graph, the smallest numbers first; nothing is built yet.

    Args:
        traits: what kind of graph it is, and what stays in float32.
        material: the graph and samples of its inputs.
        part: of the bundle, for errors.
        target: the machine.
        precision: ``auto`` for every form that makes sense there, else the one.
        options: of the export.
        ranking: names of the most sensitive nodes, worst first; asked for by remedies.

    Raises:
        ExportError: the precision doesn't exist for the target.
    """
    plan = Plan(traits, material, target, options, ranking)
    for route in routes(traits.family, target, precision, part):
        yield _MADE[route](plan)


def routes(family: str, target: Target, precision: Precision, part: PartName = "visual") -> list[Route]:
    """Forms to try, in order.

    Raises:
        ExportError: the precision doesn't exist for the target.
    """
    if precision == "auto":
        return _automatic(family, target)
    nowhere = precision == "int8-dynamic" and target not in CPUS
    if nowhere or (precision == "int8-static" and target == "cuda"):
        raise ExportError(
            f"there is no {precision} for {target}",
            subject=part,
            hint="CUDA takes fp16 or fp32; TensorRT fp16, fp32 or int8-static",
        )
    return [precision]


def _automatic(family: str, target: Target) -> list[Route]:
    if target == "cuda" or (target == "tensorrt" and family == "transformer"):
        return ["fp16", "fp32"]
    if family == "transformer":
        return ["int8-dynamic", "int8-weights", "fp16", "fp32"]
    return ["int8-static", "fp16", "fp32"]


def left_out_of(traits: Traits, options: Options) -> tuple[str, ...]:
    """Nodes that stay in float32 in every int8 form; with ``whole``, those alone that were asked for."""
    own = () if options.whole else traits.left_out
    return tuple(dict.fromkeys((*own, *options.leave_out)))


@dataclass(frozen=True)
class Change:
    """What a remedy does otherwise than its target's scheme says.

    Attributes:
        unsigned: activations are uint8 although the target prefers int8.
        rare: ranges hold the rarest values too.
        fine: weights take all eight bits.
    """

    unsigned: bool = False
    rare: bool = True
    fine: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """It in a form's name: without them a form and its remedy would share one."""
        said = {"8 bits": self.fine, "percentile": not self.rare, "unsigned": self.unsigned}
        return tuple(word for word, true in said.items() if true)


_AS_IT_IS = Change()


def static_form(
    material: Material, target: Target, options: Options, change: Change = _AS_IT_IS
) -> tuple[Scheme, Ranges]:
    """How a target's static form is made, and from which calibration.

    Args:
        material: the graph and samples.
        target: whose scheme; never CUDA.
        options: override the scheme.
        change: to the scheme.
    """
    scheme = replace(scheme_for(target), per_channel=options.per_channel)
    if change.unsigned:
        scheme = replace(scheme, signed=False)
    if change.fine:
        scheme = replace(scheme, bits=8)
    if options.symmetric is not None and target != "tensorrt":  # which knows no other
        scheme = replace(scheme, symmetric=options.symmetric)
    if options.weight_bits is not None:
        scheme = replace(scheme, bits=options.weight_bits)
    ranges = material.ranges(
        options.method or ("minmax" if change.rare else "percentile"), fused=target in CPUS
    )
    if any(node.op_type == "QuickGelu" for node in ranges.model.graph.node):
        scheme = replace(scheme, operations=GATED)
    return scheme, ranges


def _static(plan: Plan) -> Candidate:
    """The static form with the known exceptions."""
    head = _static_one(plan, plan.left_out, plan.why)
    return replace(head, remedies=partial(_static_remedies, plan))


def _static_one(plan: Plan, left_out: Sequence[str], why: str, change: Change = _AS_IT_IS) -> Candidate:
    def build() -> object:
        scheme, ranges = static_form(plan.material, plan.target, plan.options, change)
        if plan.traits.family == "transformer":  # static or not, products of two activations stay as they are
            scheme = replace(scheme, operations=("Gemm", "MatMul"))
            return quantised(ranges, scheme, [*left_out, *activation_products(ranges.original)])
        form = quantised(ranges, scheme, left_out)
        return half_weights(form) if plan.target in CPUS else form  # what stays float computes as before

    name = ", ".join((precision_name(STATIC, left_out), *change.words))
    return Candidate(name, build, tuple(left_out), why, pays="speed", target=plan.target)


def _static_remedies(plan: Plan) -> Iterator[Candidate]:
    """Each on top of those before it that cost no more."""
    left_out, why, options = plan.left_out, plan.why, plan.options
    if not options.whole and not set(plan.traits.head) <= set(left_out):
        left_out, why = _and(left_out, plan.traits.head), _also(why, _HEAD)
        yield _static_one(plan, left_out, why)
    change, plain = _AS_IT_IS, why
    if plan.target == "x86" and options.weight_bits is None:
        change, why = Change(fine=True), _also(why, _FINE)
        yield _static_one(plan, left_out, why, change)
    worst = [name for name in plan.ranking() if name not in left_out]
    for count in _counts(worst):
        yield _static_one(plan, _and(left_out, worst[:count]), _also(why, _SENSITIVE), change)
    if options.method is None:
        yield _static_one(plan, left_out, _also(plain, _RARE), Change(rare=False))
    if plan.target == "arm":
        yield _static_one(plan, left_out, _also(plain, _UNSIGNED), Change(unsigned=True))


def _dynamic(plan: Plan) -> Candidate:
    """The dynamic form with the known exceptions."""
    head = _dynamic_one(plan, plan.left_out, plan.why)
    return replace(head, remedies=partial(_dynamic_remedies, plan))


def _dynamic_one(plan: Plan, left_out: Sequence[str], why: str) -> Candidate:
    bits = plan.options.weight_bits or (7 if plan.target == "x86" else 8)
    build = partial(
        dynamic_int8, plan.material.model, left_out, bits=bits, per_channel=plan.options.per_channel
    )
    name = precision_name(DYNAMIC, left_out)
    return Candidate(name, build, tuple(left_out), why, pays="speed", target=plan.target)


def _dynamic_remedies(plan: Plan) -> Iterator[Candidate]:
    worst = [name for name in plan.ranking() if name not in plan.left_out]
    for count in _counts(worst):
        yield _dynamic_one(plan, _and(plan.left_out, worst[:count]), _also(plan.why, _SENSITIVE))


def _weights(plan: Plan) -> Candidate:
    build = partial(int8_weights, plan.material.model)
    return Candidate(WEIGHTS, build, pays="size", target=plan.target)


def _half(plan: Plan) -> Candidate:
    """Stored in float16 where a processor computes, computed in float16 where a GPU does."""
    model = plan.material.model
    if plan.target in CPUS:
        return Candidate("fp16 weights", partial(half_weights, model), pays="size", target=plan.target)
    left_out = plan.options.leave_out
    build = partial(half_compute, model, left_out)
    why = _ASKED_FOR if left_out else ""
    return Candidate(precision_name("fp16", left_out), build, left_out, why, pays="size", target=plan.target)


def _full(plan: Plan) -> Candidate:
    return Candidate("fp32", lambda: plan.material.model, target=plan.target)


def _counts(worst: Sequence[str]) -> list[int]:
    """How many to leave out, as long as half of the nodes stay in int8."""
    return [count for count in MOST_SENSITIVE if count <= len(worst) / 2]


def _and(names: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *more)))


def _also(why: str, more: str) -> str:
    return f"{why}; {more}" if why else more


_MADE: dict[Route, Callable[[Plan], Candidate]] = {
    "int8-static": _static,
    "int8-dynamic": _dynamic,
    "int8-weights": _weights,
    "fp16": _half,
    "fp32": _full,
}
