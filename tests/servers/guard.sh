#!/usr/bin/env bash
# Runs a command while this script's standard input is open.
#
#   guard.sh COMMAND [ARGUMENT...]
#
# When standard input closes (its holder closed it or died), or on TERM or INT, the command gets SIGTERM, and SIGKILL
# if it has not ended GUARD_GRACE seconds later (default 40). The exit code is the command's own. So no process
# outlives its owner, and no process has to be found by its name.
set -uo pipefail

exec 3<&0
"$@" </dev/null 3<&- &
command=$!
# cat must not keep a pipe open that another process reads to its end.
cat <&3 >/dev/null 2>&1 &
holder=$!
exec 3<&- 0</dev/null 1>&-

alive() { kill -0 "$1" 2>/dev/null; }

stop_requested=
trap 'stop_requested=yes' TERM INT
wait -n "$command" "$holder"
if alive "$command" || [ -n "$stop_requested" ]; then
	kill -TERM "$command" 2>/dev/null
	tenths=$((${GUARD_GRACE:-40} * 10))
	while alive "$command"; do
		[ $((tenths -= 1)) -gt 0 ] || kill -KILL "$command"
		sleep 0.1
	done
fi
if alive "$holder"; then
	disown "$holder"
	kill "$holder"
fi
wait "$command"
