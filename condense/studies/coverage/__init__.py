"""How much of the data the sets of several runs cover."""
