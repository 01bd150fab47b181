"""The exercises by topic: the cases of each, from easy to hard, its hints, and the mistakes that are looked for."""
