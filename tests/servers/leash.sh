#!/usr/bin/env bash
# Runs a command for as long as somebody holds this script's standard input open.
#
#   leash.sh COMMAND [ARGUMENT...]
#
# When standard input closes (its holder closed it, or died in whatever way), or on TERM or INT, the
# command gets SIGTERM, and SIGKILL when it has not ended LEASH_GRACE seconds later (default 40). The exit
# code is the command's own. So nothing outlives who asked for it, and nobody has to look a process up by
# its name.
set -uo pipefail

exec 3<&0
"$@" </dev/null 3<&- &
command=$!
# It writes nowhere: it must not keep a pipe open that somebody reads to its end.
cat <&3 >/dev/null 2>&1 &
holder=$!
exec 3<&- 0</dev/null 1>&-

alive() { kill -0 "$1" 2>/dev/null; }

told=
trap 'told=yes' TERM INT
wait -n "$command" "$holder"
if alive "$command" || [ -n "$told" ]; then
	kill -TERM "$command" 2>/dev/null
	tenths=$((${LEASH_GRACE:-40} * 10))
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
