"""Ways to cheat on a published PREP, and the check of each verifier that finds each of them."""
