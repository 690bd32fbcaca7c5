"""Reads statements as JSON strings, a line each, runs them, and answers a line each with what they printed."""

import io
import json
import sys

sys.path.append(__file__.rsplit("/", 1)[0])
names = {}


class Printed:
    def __init__(self):
        self.text = ""

    def write(self, *words):
        self.text += " ".join(str(word) for word in words) + "\n"


while True:
    line = sys.stdin.readline()
    if not line:
        break
    printed = Printed()
    names["print"] = printed.write
    error = None
    try:
        exec(json.loads(line), names)
    except BaseException as raised:
        if hasattr(sys, "print_exception"):
            trace = io.StringIO()
            sys.print_exception(raised, trace)
            error = trace.getvalue()
        else:
            import traceback

            error = traceback.format_exc()
    sys.stdout.write(json.dumps({"printed": printed.text.rstrip("\n"), "error": error}) + "\n")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
