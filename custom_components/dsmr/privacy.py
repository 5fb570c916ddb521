"""What may the log not say?"""

from collections.abc import Callable
import re
import traceback

# What may be a meter's identifier, or a part of one. "Traceback" is none.
_IDENTIFIER = re.compile(r"(?<!Tr)[0-9A-Fa-f]{6,}")
# Characters of a line of a trace, and of all: what an error quotes may be a whole telegram.
_LONGEST_LINE = 300
_LONGEST_TRACE = 10_000


def without_identifiers(text: str) -> str:
    """Return a text of which no part may be a meter's identifier."""
    return _IDENTIFIER.sub("…", text)


def trace_of(error: BaseException, hide: Callable[[str], str] = str) -> str:
    """Return where an error comes from that nobody has foreseen, and what it says.

    Its words may be the meter's: identifiers and control characters are left out.

    Args:
        error: the error.
        hide: takes out of a text what else is secret.
    """
    trace = without_identifiers(hide("".join(traceback.format_exception(error))))
    lines = ("".join(filter(str.isprintable, line)) for line in trace.split("\n"))
    return "\n".join(line[:_LONGEST_LINE] for line in lines)[:_LONGEST_TRACE]
