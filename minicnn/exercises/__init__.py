"""Exercises with answers that the library computes."""
