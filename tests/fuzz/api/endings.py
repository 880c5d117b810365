"""What Schemathesis leaves out: a stream that is followed never ends, so no request asks to follow one."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """Takes `follow` out of whatever was made up."""
    if case.query:
        case.query.pop("follow", None)
