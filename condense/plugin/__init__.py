"""Plugins: how a package adds components to ``condense``.

A plugin is a module with one hook per kind it offers::

    from condense import Options, hookimpl
    from pydantic import Field

    class MarginScorer:
        name = "margin"

        class Options(Options):
            epoch: int = Field(10, ge=0, description="epoch of the training dynamics to read")

        def __init__(self, options):
            self.options = options

        def score(self, data, context, rng):
            return -context.dynamics(data, rng).margin[:, self.options.epoch].mean(0)

    @hookimpl
    def condense_register_scorers(register):
        register(MarginScorer)

and an entry point in its ``pyproject.toml``::

    [project.entry-points.condense]
    margin = "condense_margin"
"""

import pluggy

NAME = "condense"
hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)
