"""The conformance kit: hold a component against everything its kind promises.

The whole test of a plugin::

    from condense.testing import parametrize_with_checks
    from condense_margin import MarginScorer

    @parametrize_with_checks("scorer", [MarginScorer])
    def test_conforms(component, check):
        check(component)

or, without pytest, ``check_scorer(MarginScorer)``, which runs every check of the kind and raises
one :class:`ConformanceError` that lists what broke, with which input, and what was expected.

Each check is a free function of one :class:`Subject`; ``checks_of(kind)`` lists them. A component
may declare, as class attributes:

- ``toy_options``: option values under which it runs on toy data in a second or so, for example
  ``{"networks": 1, "epochs": 2}``; used where the caller gives none;
- ``exact_options``, of a matcher: option values under which a student of the training data
  themselves ends at the target, so that loss and gradient are 0;
- ``tags``: a frozenset of properties that it does not claim (:data:`TAGS`). A tag excuses the
  checks of that property and no other.
"""

from condense.testing.augmentations import check_augmentation
from condense.testing.datasets import check_dataset
from condense.testing.evaluators import check_evaluator
from condense.testing.matchers import check_matcher
from condense.testing.methods import check_method
from condense.testing.networks import check_network
from condense.testing.parametrize import parametrize_with_checks
from condense.testing.report import ConformanceError, Outcome, Report
from condense.testing.run import checks_of, run_checks
from condense.testing.scorers import check_scorer
from condense.testing.selectors import check_selector
from condense.testing.subject import TAGS, CheckFailed, Subject
from condense.testing.toys import GuardedData, TestSplitRead, toy_data, toy_features
from condense.testing.update_policies import check_update_policy

__all__ = [
    "TAGS",
    "CheckFailed",
    "ConformanceError",
    "GuardedData",
    "Outcome",
    "Report",
    "Subject",
    "TestSplitRead",
    "check_augmentation",
    "check_dataset",
    "check_evaluator",
    "check_matcher",
    "check_method",
    "check_network",
    "check_scorer",
    "check_selector",
    "check_update_policy",
    "checks_of",
    "parametrize_with_checks",
    "run_checks",
    "toy_data",
    "toy_features",
]
