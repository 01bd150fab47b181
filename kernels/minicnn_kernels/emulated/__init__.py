"""CuPy on NumPy memory."""
