"""SelMatch's sliding window over difficulty (arXiv 2406.18561, section 4.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Generator

from condense.data import portion
from condense.engine.training.sgd import PrecisionBf16
from condense.errors import DataError
from condense.interfaces import Budget, Context, Cost, LabeledData, Scores, Selection
from condense.options import NetworkSpec, Options as BaseOptions
from condense.selection import ranked_classes
from condense.traits import SelectorTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins._features import FeatureOptions, HasFeatures
from condense_plugins.selectors._features import about_their_mean
from condense_plugins.selectors.facility_location import representatives

# In which a wider window is thinned. Named as recipes name `auto` for images, so that it is the
# network in the store that selectors by features have.
SPACE = HasFeatures(FeatureOptions(network=NetworkSpec.of("convnet", width=32)))


class WindowSelector(BuiltIn):
    """Skips the hardest β of each class and takes the samples that come next."""

    name: ClassVar[str] = "window"
    version: ClassVar[str] = "1"
    needs_scores: ClassVar[bool] = True
    traits: ClassVar[SelectorTraits] = SelectorTraits(
        advice={
            "beta-lowest": "selector.beta=0.1 and more, as the window begins at the very hardest "
            "samples, noise and mislabelled ones included; `condense tune` finds it",
            "beta-highest": "a smaller selector.beta, as the window holds the easiest samples of a "
            "class only; `condense tune` finds it",
            "worse-than-random": "another selector.beta",
            "not-told-from-random": "another selector.beta",
        }
    )

    class Options(BaseOptions):
        beta: float = Field(0.5, ge=0, lt=1, description="share of hardest samples skipped, 0-1")
        unit: Literal["class", "ipc"] = Field(
            "class",
            description="what beta is a share of: the class's size, or ipc (the released code)",
        )
        width: float | None = Field(
            None,
            gt=0,
            le=1,
            description="share of each class that the window spans, of which those are taken that "
            "stand for the others best; unset = just as many as are taken (the paper)",
        )
        precision: Annotated[
            PrecisionBf16,
            Field(
                description="of the network that a window with a width trains on images: auto "
                "(bf16 on GPUs) | fp32 | tf32 | bf16"
            ),
        ] = "auto"

    options: Options

    def option_ranges(self, data: LabeledData, budget: Budget) -> dict[str, tuple[float, float]]:
        """β at which the window still ends within every class."""
        highest = 1.0
        for label, count in enumerate(budget.counts(data)):
            size = len(data.class_indices(label))
            unit = size if self.options.unit == "class" else count
            if unit:  # of a class without samples any window ends within it
                highest = min(highest, (size - count) / unit)
        return {"beta": (0.0, highest)}

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Of a wider window on images, the network that gives their features; else nothing."""
        return Cost() if self.options.width is None else self._space.cost(data, samples, context)

    @property
    def _space(self) -> HasFeatures:
        own = {"precision": self.options.precision}
        return HasFeatures(SPACE.options.model_copy(update=own))

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """⌊β·n_class⌋ hardest samples skipped, ``count`` of the next ones taken, hardest first.

        Raises:
            DataError: if the window runs past the end of a class.
        """
        o, chosen = self.options, []
        features = None if o.width is None else self._space.features(data, context, rng)
        classes = ranked_classes(data, scores, budget, self.name)
        for label, (ranked, count) in zip(data.classes, classes, strict=True):
            start = window_start(o.beta, len(ranked), count, o.unit)
            if start + count > len(ranked):
                raise DataError(
                    f"class {label} has {len(ranked)} samples, window start {start} "
                    f"(selector.beta={o.beta}) + ipc {count} needs {start + count}; "
                    f"lower selector.beta to at most {(len(ranked) - count) / len(ranked):.3g}, "
                    "or `ipc` (`fraction`)"
                )
            within = ranked[start : start + max(count, portion(o.width or 0, len(ranked)))]
            if features is None or count in (0, len(within)):
                chosen.append(within[:count])
            else:
                kept = representatives(about_their_mean(features[within]), count)
                chosen.append(within[kept.sort().values])
        return Selection.of_classes(chosen)


def window_start(beta: float, size: int, count: int, unit: str) -> int:
    """Samples skipped in a class of ``size`` of which ``count`` are kept."""
    return portion(beta, size if unit == "class" else count)
