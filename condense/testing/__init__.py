"""The conformance kit: hold a component against everything its kind promises.

The whole test of a plugin::

    from condense.testing import parametrize_with_checks
    from condense_margin import MarginScorer

    @parametrize_with_checks("scorer", [MarginScorer])
    def test_conforms(component, check):
        check(component)

or, without pytest, ``check_component("scorer", MarginScorer)``, which runs every check of the kind
and raises one :class:`ConformanceError` that lists what broke, with which input, and what was
expected.

Each check is a free function of one :class:`Subject`; ``checks_of(kind)`` lists them. How the kit
is to run a component that its defaults do not suit is a :class:`Setup`, given to these functions
or, for ``condense plugins check`` too, declared by the plugin as plain data in its package's
module ``conformance`` (or the component's own module)::

    CONFORMANCE = {"scorer:margin": {"options": {"networks": 1, "epochs": 2}}}

A tag (:data:`TAGS`) names a property that a component does not claim, and excuses the checks of
that property and no other.
"""

from condense.testing.run import (
    ConformanceError,
    Outcome,
    Report,
    check_component,
    checks_of,
    parametrize_with_checks,
    run_checks,
)
from condense.testing.subject import TAGS, CheckFailed, Setup, Subject
from condense.testing.toys import GuardedData, TestSplitRead, toy_data, toy_features

__all__ = [
    "TAGS",
    "CheckFailed",
    "ConformanceError",
    "GuardedData",
    "Outcome",
    "Report",
    "Setup",
    "Subject",
    "TestSplitRead",
    "check_component",
    "checks_of",
    "parametrize_with_checks",
    "run_checks",
    "toy_data",
    "toy_features",
]
