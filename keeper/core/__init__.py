"""The arithmetic and the judgement of hedging: pure functions over frozen types.

Nothing here reads a clock, draws a random number, awaits, or knows a venue. Given the same snapshot the same decision
comes out, which is what lets a journal be judged again.
"""
