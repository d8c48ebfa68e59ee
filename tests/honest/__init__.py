"""Honest nights in all shapes: both verifiers must approve each of them, with the same answer to every check."""
