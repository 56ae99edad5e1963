# The five words of a day's work; `just WORD` (https://just.systems), or read them as plain commands.

# an environment to work in
setup:
    python3 -m venv .venv
    .venv/bin/pip install -e '.[dev,test]'

# what can be said without running anything
lint:
    bash .ci/run lint types

# the tests
test *ARGS:
    pytest -n 2 {{ARGS}}

# the tests, and how much of the code they run
coverage:
    bash .ci/run coverage

# what CI runs, in an environment of its own
ci:
    bash .ci/run
