# Two hundred rounds with a bold step: converges.
ROUNDS=200
RATE=0.5
