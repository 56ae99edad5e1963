"""One meta-gradient: the matcher's forms against plain unrolling, by steps, ipc and geometry.

    python benchmarks/matching.py --steps 10,25,50,100 --ipc 10,50,500 --geometry digits
    python benchmarks/matching.py --released ../SelMatch --ipc 50 --threads 2

`plain` is written here: ordinary autograd through the whole rollout, in the memory that the system
gives. The others are the matcher itself with ``memory`` set. The gradient error is the relative
distance of dL/dX from `plain` in float64 (or, where that would take too long, from reverse over
reverse in float32: see ``reference``).

``--released`` names a clone of the released SelMatch code instead: its loop and the matcher as it
is by default, in turns, with its own augmentation each, at both sizes of :data:`BESIDE`. Beforehand
both compute one gradient in float64 without augmentation, which must be the same.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from _common import (
    GEOMETRIES,
    HERE,
    MIB,
    begin,
    figures,
    finish,
    free_bytes,
    in_turns,
    made_up,
    numbers,
    parser,
    peak_mb,
)  # fmt: skip
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from condense.engine.context import EngineContext
from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.runtime.rng import Seed
from condense.interfaces import Role, SyntheticSet
from condense_plugins.matchers.trajectory.gradient import (
    Batch,
    EagerSteps,
    Rollout,
    Steps,
    constant_memory,
)
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher
from condense_plugins.matchers.trajectory.memory import choose_form, step_bytes
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.tangent import TangentSteps

BATCH = {"digits": 50, "cifar": 125, "narrow": 50}
BESIDE = ("cifar", "narrow")  # 128×3 in batches of 125, 32×3 in batches of 50
SAME = 1e-9  # relative distance of two float64 gradients that are one
EXACT_STEPS = {"digits": 100, "cifar": 2, "narrow": 10}  # beyond, float64 takes minutes on a CPU
FORMS = ("constant", "unrolled", "auto")
GPU_FORMS = ("compiled", "reverse")  # constant memory too: fused; and without the tangent rules


def plain(eager: EagerSteps, rollout: Rollout, dtype: torch.dtype = torch.float32) -> Tensor:
    """dL/dX through the whole rollout, as anyone would write it."""
    inputs = eager.inputs.to(dtype).requires_grad_()
    eta = rollout.step_size.to(dtype).requires_grad_()
    network = eager.student.network
    shapes = {name: p.shape for name, p in network.named_parameters()}
    start, target = rollout.start.to(dtype), rollout.target.to(dtype)
    theta = start.clone().requires_grad_()
    for batch in rollout.batches:
        images = eager.augmentation.apply(inputs[batch.indices], batch.draws)
        split = torch.split(theta, [shape.numel() for shape in shapes.values()])
        weights = {n: part.view(s) for (n, s), part in zip(shapes.items(), split, strict=True)}
        loss = F.cross_entropy(
            functional_call(network, weights, (images,)), eager.labels[batch.indices]
        )
        (gradient,) = torch.autograd.grad(loss, theta, create_graph=True)
        theta = theta - eta * gradient
    loss = (theta - target).square().sum() / (start - target).square().sum()
    return torch.autograd.grad(loss, (inputs, eta))[0]


class Reverse(TrajectoryMatcher):
    """The matcher without its tangent rules: the backward step is reverse over reverse."""

    def _quick_steps(self, eager: EagerSteps) -> Steps:
        return CapturedSteps(eager) if eager.inputs.device.type == "cuda" else eager


class Case:
    """A synthetic set of ``ipc`` images a class, made-up experts, and the matcher's parts."""

    def __init__(self, context: EngineContext, geometry: str, steps: int, ipc: int) -> None:
        self.context, self.geometry, self.steps = context, geometry, steps
        shape, self.network = GEOMETRIES[geometry]
        self.data = made_up(geometry, 100)
        rng = torch.Generator().manual_seed(0)
        count = ipc * shape.classes
        self.synthetic = SyntheticSet(
            torch.randn(count, *shape.shape, generator=rng),
            torch.arange(count) % shape.classes,
            torch.full((count,), int(Role.DISTILLED), dtype=torch.uint8),
            torch.arange(count),
            torch.tensor(0.01),
        ).to(context.device)
        start = self.matcher("auto").start_vector(self.data, context)
        self.expert = torch.stack([start, start + 0.02 * torch.randn(len(start), generator=rng)])
        used = self.bound("auto", "fp32")
        self.rollout = used._draw(self.synthetic, Seed(1).generator())
        self.eager = EagerSteps(
            used._student, used._augmentation, self.synthetic.inputs, self.synthetic.labels
        )  # type: ignore[arg-type]
        self.theta_mb = (steps + 1) * start.nbytes / MIB

    def matcher(self, form: str, precision: str = "fp32") -> TrajectoryMatcher:
        kind: type[TrajectoryMatcher] = Reverse if form == "reverse" else TrajectoryMatcher
        return kind(
            TrajectoryOptions(
                steps=self.steps, batch_size=BATCH[self.geometry], network=self.network,
                max_start_epoch=1, expert_epochs=1, precision=precision,
                memory="constant" if form in GPU_FORMS else form,
                compile="on" if form == "compiled" else "auto" if form == "auto" else "off",
            )  # type: ignore[arg-type]
        )  # fmt: skip

    def bound(self, form: str, precision: str) -> TrajectoryMatcher:
        matcher = self.matcher(form, precision)
        matcher.use([self.expert], self.data, self.context, Seed(0).generator())
        return matcher

    def way(self, form: str, precision: str) -> Callable[[], Tensor]:
        """One matching iteration; always the same draws."""
        matcher = self.bound(form, precision)

        def call() -> Tensor:
            with retain_freed_memory():
                return matcher.step(self.synthetic, Seed(1).generator()).grad_inputs

        return call

    def chosen(self) -> str:
        """The form behind ``auto``."""
        rules = self.context.device.type == "cpu" and TangentSteps.of(self.eager) is not None
        options = self.matcher("auto").options
        return choose_form(options, self.eager, self.rollout.batches[0], tangent=rules)

    def reference(self) -> tuple[str, Tensor]:
        cuda = self.context.device.type == "cuda"
        if self.steps <= (EXACT_STEPS[self.geometry] if not cuda else 10):
            return "plain float64", plain(self.eager, self.rollout, torch.float64)
        with retain_freed_memory():
            result = constant_memory(self.eager, self.rollout, self.synthetic.inputs)
        return "reverse over reverse, float32", result.grad_inputs


def rows_of(case: Case, ipc: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a form (and precision, on a GPU)."""
    device = case.context.device
    base = {"geometry": case.geometry, "steps": case.steps, "ipc": ipc, "theta_mb": case.theta_mb}
    need = 1.5 * step_bytes(case.eager, case.rollout.batches[0]) * case.steps
    fits = need < 0.8 * free_bytes(device)
    cuda = device.type == "cuda"
    forms = arguments.forms.split(",") if arguments.forms else [*FORMS, *GPU_FORMS[: 2 * cuda]]
    kinds = [f for f in forms if fits or f != "unrolled"]
    best = "fp32,tf32,bf16" if cuda else "fp32"
    precisions = (arguments.precisions or best).split(",")
    ways = {(f, p): case.way(f, p) for f in kinds for p in precisions}
    if fits:
        ways["plain", "fp32"] = lambda: plain(case.eager, case.rollout)
    rows: list[dict[str, Any]] = []
    if not fits:
        why = f"needs about {need / 2**30:.1f} GiB, {free_bytes(device) / 2**30:.1f} are free"
        rows += [{**base, "form": f, "skipped": why} for f in ("plain", "unrolled")]
    seconds = in_turns(ways, arguments.repeats, device)  # type: ignore[arg-type]
    kind, reference = case.reference()
    for (form, precision), call in ways.items():
        error = call().double().sub(reference).norm() / reference.double().norm()
        row = {**base, "form": form, "precision": precision, **figures(seconds[form, precision])}  # type: ignore[index]
        row["peak_mb"] = peak_mb(call, device)
        row["gradient_error"], row["reference"] = float(error), kind
        if form == "auto":
            row["chosen"] = case.chosen()
        rows.append(row)
    return rows


def beside_released(case: Case, ipc: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The released loop and ours: a row each, and how far apart their gradients are.

    Raises:
        SystemExit: where they do not compute the same.
    """
    from _released import Released

    released = Released(arguments.released)
    width = int(case.network.options["width"])
    rollout, synthetic = case.rollout, case.synthetic
    apart = _apart(case, released, width)
    if apart > SAME:
        raise SystemExit(f"the gradients differ by {apart:.1e}, more than {SAME}: not one problem")
    theirs = released.way(rollout, synthetic.inputs, synthetic.labels, width)
    matcher, turn = case.bound("auto", "fp32"), itertools.count()

    def ours() -> Tensor:
        with retain_freed_memory():
            return matcher.step(synthetic, Seed(next(turn)).generator()).grad_inputs

    ways: dict[str, Callable[[], Tensor]] = {"released": theirs, "ours": ours}
    cpu: dict[str, list[float]] = {name: [] for name in ways}

    def timed(name: str) -> Callable[[], object]:
        def call() -> None:
            start = time.process_time()
            ways[name]()
            cpu[name].append(time.process_time() - start)

        return call

    seconds = in_turns({n: timed(n) for n in ways}, arguments.repeats, case.context.device)
    base = {
        "geometry": case.geometry,
        "batch": BATCH[case.geometry],
        "steps": case.steps,
        "ipc": ipc,
    }
    rows: list[dict[str, Any]] = []
    for name, call in ways.items():
        row = {**base, "form": name, **figures(seconds[name])}
        row["processor_seconds"] = statistics.median(cpu[name][1:])
        row["peak_mb"] = peak_mb(call, case.context.device)
        row["times_as_quick"] = figures(seconds["released"])["seconds"] / row["seconds"]
        rows.append(row | {"apart_float64": apart, "released_commit": released.commit})
    return rows


def _apart(case: Case, released: Any, width: int) -> float:
    """Relative distance of both gradients over two steps, in float64 and without augmentation."""
    inputs, labels = case.synthetic.inputs.double(), case.synthetic.labels
    r = case.rollout
    batches = [Batch(b.indices, b.draws[:, :0]) for b in r.batches[:2]]
    rollout = Rollout(r.start.double(), r.target.double(), r.step_size.double(), batches)
    eager = EagerSteps(case.eager.student, case.eager.augmentation, inputs, labels)
    theirs = released.way(rollout, inputs, labels, width, "none")()
    ours = constant_memory(TangentSteps.of(eager) or eager, rollout, inputs).grad_inputs
    return float((ours - theirs).norm() / theirs.norm())


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--steps", type=numbers, default=[10])
    flags.add_argument("--ipc", type=numbers, default=[10])
    flags.add_argument("--geometry", choices=sorted(GEOMETRIES), default="digits")
    flags.add_argument(
        "--forms", default=None,
        help=f"{','.join(FORMS)} (GPU: and {','.join(GPU_FORMS)}); plain comes along",
    )  # fmt: skip
    flags.add_argument(
        "--released", type=Path, default=None, help="clone of the released code, run beside ours"
    )
    flags.add_argument("--precisions", default=None, help="fp32 (GPU: fp32,tf32,bf16)")
    arguments = flags.parse_args(argv)
    rows = []
    with contextlib.ExitStack() as stack:
        store = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        context = begin(arguments, store)
        of_case = beside_released if arguments.released else rows_of
        for geometry in BESIDE if arguments.released else (arguments.geometry,):
            for steps in arguments.steps:
                for ipc in arguments.ipc:
                    rows += of_case(Case(context, geometry, steps, ipc), ipc, arguments)
    if arguments.released and arguments.out is None:
        arguments.out = HERE / "results" / f"matching-released-{context.device.type}.json"
    finish("matching", arguments, argv, rows, context.device)


if __name__ == "__main__":
    main(sys.argv[1:])
