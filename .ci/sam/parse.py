"""Parses the arguments of a call of the SAM command line, and runs nothing.

    python parse.py deploy --guided ...
"""

import sys

import click
from samcli.cli.context import Context
from samcli.cli.main import cli

with click.Context(cli, info_name="sam", obj=Context()) as context:
    words, command = sys.argv[1:], cli
    while isinstance(command, click.Group):  # sam local invoke
        name = words.pop(0) if words else ""
        command = command.get_command(context, name)
        if command is None:
            sys.exit(f"sam has no command {name}")
    try:
        # The parser alone: no callback, which would look for files and accounts.
        own = click.Context(command, info_name=name, parent=context)
        _, rest, _ = command.make_parser(own).parse_args(args=words)
    except click.UsageError as error:
        sys.exit(f"sam {' '.join(sys.argv[1:])}: {error.format_message()}")
    if rest:
        sys.exit(f"sam {' '.join(sys.argv[1:])}: {rest} are not its arguments")
