"""The `sirr` command: one file per verb."""
