# Two rounds with a tiny step: barely learns.
ROUNDS=2
RATE=0.01
