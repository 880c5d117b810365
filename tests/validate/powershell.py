"""Holds the script of `knit completion powershell` against a grammar of PowerShell.

    python powershell.py FILE

The grammar is the one of editors, which go on behind what they do not understand; here, that is an error. It is shown a
broken script as well, since a grammar that accepts everything would tell nothing.
"""

import pathlib
import sys

import tree_sitter
import tree_sitter_powershell

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def errors(script):
    """The lines, from 1, that the grammar does not understand, or in which it misses something."""
    found, waiting = [], [PARSER.parse(script).root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            found.append(node.start_point.row + 1)
        waiting.extend(node.children)
    return sorted(found)


def main(path):
    script = pathlib.Path(path).read_bytes()
    assert errors(script.replace(b"finally {", b"finally ")), "the grammar accepts a block that does not begin"
    for line in errors(script):
        print(f"{path}:{line}: not understood: {script.splitlines()[line - 1].decode()}", file=sys.stderr)
    if errors(script):
        return 1
    print("the grammar of PowerShell accepts the script for completion")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
