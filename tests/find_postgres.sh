#!/bin/sh
# Prints the directory of a Postgres server's programs that whoever calls this can run; fails if there is none.
# $1: the directory of the test tools' programs, whose Python may have brought one along.
#
# Postgres refuses to run as root, so the tests start it as `nobody` then: what nobody cannot reach does not count.
tools=${1:-/nonexistent}

usable() {
    [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups "$1/postgres" --version
    else
        "$1/postgres" --version
    fi >/dev/null 2>&1
}

for directory in "$RATCHET_TEST_POSTGRES" "$tools"/../lib/python3*/site-packages/pgserver/pginstall/bin \
    /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
    if usable "$directory"; then
        (cd "$directory" && pwd)
        exit 0
    fi
done
exit 1
