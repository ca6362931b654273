"""Settings of the command line: one YAML file for each sub-command, one folder for each group of choices.

Every value is explained in the comment above it, which is also what `worldmodel <sub-command> --help` prints.
"""
