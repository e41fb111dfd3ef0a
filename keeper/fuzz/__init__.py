"""The deterministic simulation: the real loop, executor, journal and alerts on virtual time against our own exchange.

One seed decides everything: market, money flows, hedges, the probabilities of faults (drawn first), then each fault and
each crash. A run has a safety phase with faults on and a liveness phase with them off. After every event the invariants
are checked against what is really so at the exchange, which the keeper never sees. A seed repeats its whole history.
"""
