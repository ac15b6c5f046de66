"""Options of the commands, known before PyTorch is loaded.

Each module adds the parser of the command of its name: ``add_parser(subparsers)``. What it sets as
``check`` refuses, as a usage error, options that do not go together.
"""
