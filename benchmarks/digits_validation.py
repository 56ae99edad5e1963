"""Choose options for digits without its test split: SelMatch and random on a validation part.

A quarter of the training split is held out, stratified, and plays the test split; the rest is
condensed. Prints one line per setting: mean accuracy over the seeds of both arms and the gain.

    python benchmarks/digits_validation.py policy.alpha=0.6 policy.alpha=0.8
    python benchmarks/digits_validation.py --seeds 0,1,2 policy.alpha=0.8,matcher.experts=12
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace

import click
import numpy as np
import torch
from sklearn.model_selection import train_test_split

from condense.api import bind
from condense.data import LabeledData
from condense.engine.evaluation import condensed_plan, evaluate, random_plan
from condense.engine.pipeline import Pipeline
from condense.options import parse_assignment


def validation_data() -> LabeledData:
    """Three quarters of digits' training split, the last quarter in the test split's place."""
    data = bind("digits").data
    labels = data.labels.numpy()
    train, held_out = train_test_split(
        np.arange(len(data)), test_size=0.25, random_state=0, stratify=labels
    )
    return replace(
        data.subset(torch.from_numpy(train)), test=data.subset(torch.from_numpy(held_out))
    )


@click.command()
@click.option("--seeds", default="0,1,2", help="run seeds, comma-separated")
@click.argument("settings", nargs=-1, required=True)
def main(seeds: str, settings: tuple[str, ...]) -> None:
    """Each SETTING is a comma-separated list of STAGE.KEY=VALUE."""
    data = validation_data()
    for setting in settings:
        options = {
            ".".join(path): value
            for path, value in map(parse_assignment, filter(None, setting.split(",")))
        }
        start, own, random = time.perf_counter(), [], []
        for seed in map(int, seeds.split(",")):
            named = bind("digits", seed=seed, options=options)
            pipeline = Pipeline(
                named.recipe,
                named.host,
                store=named.store,
                device=named.device,
                progress=named.progress,
                data=data,
            )
            own.append(evaluate(pipeline, condensed_plan(pipeline, pipeline.condensed)).mean)
            random.append(evaluate(pipeline, random_plan(pipeline)).mean)
        row = {
            "setting": setting,
            "selmatch": statistics.mean(own),
            "random": statistics.mean(random),
            "gain": statistics.mean(own) - statistics.mean(random),
            "per_seed": own,
            "seconds": round(time.perf_counter() - start, 1),
        }
        click.echo(json.dumps(row))


if __name__ == "__main__":
    main()
