"""Tests and what they share. A package, since others install one of this name beside it."""
