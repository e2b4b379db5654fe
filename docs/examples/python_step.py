"""A task in Python: the mean and the largest value of one column of a CSV file.

Ratchet starts it as `core.exec` does with any program: one line of JSON on standard input, an answer in the file that
RATCHET_OUTPUT names. Whatever it prints goes to the task's log. Exit status 65 says that a retry cannot help.
"""

import csv
import json
import os
import sys


def main() -> int:
    request = json.load(sys.stdin)
    wanted = request["input"]
    print(f"run {request['run']['id']}, attempt {request['attempt']}, seed {request['seed']}", flush=True)
    values = []
    with open(wanted["file"], newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if wanted["column"] not in (rows.fieldnames or []):
            columns = ", ".join(rows.fieldnames or [])
            print(f"{wanted['file']} has no column {wanted['column']}; it has {columns}", file=sys.stderr)
            return 65
        for row in rows:
            values.append(float(row[wanted["column"]]))
    if not values:
        print(f"{wanted['file']} has no rows", file=sys.stderr)
        return 65
    answer = {"outputs": {"rows": len(values), "mean": sum(values) / len(values), "largest": max(values)}}
    with open(os.environ["RATCHET_OUTPUT"], "w", encoding="utf-8") as output:
        json.dump(answer, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
