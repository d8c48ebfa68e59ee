"""What the files of a published tree say, read strictly and recomputed."""
