"""Says when Python's croniter would tick, to compare with what Ratchet says.

Reads one question a line from standard input, "<instant>;<cron line>", the instant being a civil time without a zone; answers each with
one line of JSON: {"next": [five ticks], "last": [three ticks before, newest first]}, {"never": true} for a line that has none, or
{"refused": what it says}.
"""

import json
import sys
from datetime import datetime

from croniter import CroniterBadDateError, CroniterError, croniter


def answer(question):
    instant, line = question.rstrip("\n").split(";", 1)
    start = datetime.fromisoformat(instant)
    try:
        onward, back = croniter(line, start), croniter(line, start)
        ticks = {
            "next": [onward.get_next(datetime).isoformat() for _ in range(5)],
            "last": [back.get_prev(datetime).isoformat() for _ in range(3)],
        }
    except CroniterBadDateError:
        return {"never": True}
    except (CroniterError, ValueError) as error:
        return {"refused": str(error)}
    return ticks


for question in sys.stdin:
    print(json.dumps(answer(question)))
