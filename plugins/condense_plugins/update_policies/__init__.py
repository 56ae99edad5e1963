"""Built-in update policies."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import UpdatePolicy
from condense_plugins.update_policies.frozen import FrozenPolicy
from condense_plugins.update_policies.full import FullPolicy
from condense_plugins.update_policies.learned_labels import LearnedLabelsPolicy
from condense_plugins.update_policies.partial import PartialPolicy
from condense_plugins.update_policies.relabel import RelabelPolicy


@hookimpl
def condense_register_update_policies(register: Callable[[type[UpdatePolicy]], None]) -> None:
    register(FrozenPolicy)
    register(FullPolicy)
    register(LearnedLabelsPolicy)
    register(PartialPolicy)
    register(RelabelPolicy)
