"""Ways of cheating on what a PREP publishes, and which check of which verifier finds each."""
