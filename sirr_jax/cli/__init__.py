"""The `sirr` command: one module per verb.

Each verb's module has `run(argv) -> exit code` and `parser()`, its command line (`train`: `flag_values()`). Modules
import JAX inside functions, so that `--help` is fast.
"""
