"""QBFT as a pure function: step(state, event) -> Transition(state, effects)."""
