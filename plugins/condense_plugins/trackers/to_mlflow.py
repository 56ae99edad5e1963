"""Runs of MLflow."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from condense.errors import importing
from condense.interfaces import TrackedRun
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn

AT_ONCE = 100  # parameters, or figures, that are sent together
LONGEST = 500  # characters of a parameter


class MlflowTracker(BuiltIn):
    """Keeps a run in MLflow: figures, pictures, the recipe as parameters, the result as artefacts.

    The server is that of ``uri``, else of ``MLFLOW_TRACKING_URI``, else MLflow's own choice, a
    database in the working folder. What another machine is told of a run holds no path of this one.
    """

    name: ClassVar[str] = "mlflow"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "uri"

    class Options(BaseOptions):
        uri: str | None = Field(
            None, description="of the server, such as http://HOST:5000 or sqlite:///runs.db"
        )
        experiment: str = Field("condense", min_length=1, description="that the run belongs to")

    options: Options

    def begin(self, run: TrackedRun) -> None:
        """Starts a run of the experiment, which is made where it is missing.

        Raises:
            OptionError: without MLflow.
        """
        with importing("track", "tracker 'mlflow' needs MLflow", "mlflow"):
            from mlflow import MlflowClient
            from mlflow.entities import Param
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of its tables
        self._client: Any = MlflowClient(self.options.uri)
        self._waiting: list[Any] = []
        name = self.options.experiment
        known = self._client.get_experiment_by_name(name)
        where = known.experiment_id if known else self._client.create_experiment(name)
        self._run = self._client.create_run(where, run_name=run.name).info.run_id
        left = iter(run.parameters.items())
        while part := [Param(key, value[:LONGEST]) for key, value in islice(left, AT_ONCE)]:
            self._client.log_batch(self._run, params=part)

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Kept until there are enough to be sent."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, value, now, step) for name, value in values.items()]
        if len(self._waiting) >= AT_ONCE:
            self._send()

    def _send(self) -> None:
        self._client.log_batch(self._run, metrics=self._waiting)
        self._waiting = []

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """One of the images ``samples``."""
        self._send()
        self._client.log_image(self._run, image, key="samples", step=step)

    def artefact(self, folder: Path) -> None:
        """All its files."""
        self._client.log_artifacts(self._run, str(folder), "condensed")

    def close(self, done: bool) -> None:
        """The run has the status FINISHED, or FAILED."""
        self._send()
        self._client.set_terminated(self._run, "FINISHED" if done else "FAILED")
