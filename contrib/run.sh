#!/bin/sh
# run.sh [--once] - installs what building needs, builds, and tries the whole way of a message: a relay with the campus policies and the
# embedded store, a sink behind it, one message through both, and what was written down about it.
#
# --once stops after that: exit 0 if the message arrived. Without it relay and sink stay, until Ctrl-C. Everything is on loopback, with
# ports of the system's choosing, in a directory of its own that goes with it.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
once=
case ${1:-} in
  "") ;;
  --once) once=yes ;;
  *) echo "usage: contrib/run.sh [--once]" >&2; exit 2 ;;
esac

"$top/contrib/setup.sh"
build=${POSTERN_BUILD:-$top/build}/run
cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
ninja -C "$build" --quiet postern
postern=$build/postern

dir=$(mktemp -d "${TMPDIR:-/tmp}/postern-run-XXXXXX")
relay_pid=
sink_pid=
finish() {
  [ -z "$relay_pid" ] || kill "$relay_pid" 2>/dev/null || true
  [ -z "$sink_pid" ] || kill "$sink_pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Waits for a line of a log that has all the words; prints the line.
line_with() { # file, seconds, words ...
  file=$1
  tenths=$(($2 * 10))
  shift 2
  while [ "$tenths" -gt 0 ]; do
    found=$(cat "$file")
    for word in "$@"; do
      found=$(printf '%s\n' "$found" | grep -F -- "$word" || true)
    done
    if [ -n "$found" ]; then
      printf '%s\n' "$found" | head -n 1
      return 0
    fi
    sleep 0.1
    tenths=$((tenths - 1))
  done
  return 1
}

# The value of a field of a record: a text or a number.
field() { # name
  sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

"$postern" sink --listen 127.0.0.1:0 --dir "$dir/sink" >"$dir/sink.log" 2>&1 &
sink_pid=$!
sink_port=$(line_with "$dir/sink.log" 10 '"listening"' | field port)

cat >"$dir/postern.lua" <<CONFIG
hostname = "relay.example.edu"
data_dir = "$dir/data"
control  = "$dir/control.sock"
help_url = "https://help.example.edu/smtp-relay"
dns      = { servers = { "127.0.0.1:9" }, timeout = "1s" }

local campus = {
  use "helo_characters" { forbidden = "&" },
  use "rate_limits" { per_device = "600/hour" },
  use "internal_domains" { domains = { "example.edu" }, from = { "127.0.0.0/8" } },
  use "relay_networks" { networks = { "127.0.0.1/32" } },
  use "missing_headers" {},
}

listener "relay" { bind = "127.0.0.1:0", policies = campus, reverse_dns = false }
route "*" { via = "[127.0.0.1]:$sink_port" }
CONFIG
"$postern" check --config "$dir/postern.lua"
"$postern" serve --config "$dir/postern.lua" 2>"$dir/relay.log" &
relay_pid=$!
if ! line_with "$dir/relay.log" 30 '"server_started"' >/dev/null; then
  cat "$dir/relay.log" >&2
  exit 1
fi
relay_port=$(line_with "$dir/relay.log" 1 '"listener_opened"' | field addr | sed 's/.*://')

printf 'From: Copier 4 <copier4@example.edu>\r\nTo: office@example.org\r\nSubject: scan\r\n\r\nPage 1 of 1.\r\n' >"$dir/message"
curl --silent --show-error --max-time 20 "smtp://127.0.0.1:$relay_port/copier4.example.edu" \
  --mail-from copier4@example.edu --mail-rcpt office@example.org --upload-file "$dir/message"

# The trace: what the two logs say about this one message, joined by its ids.
accepted=$(line_with "$dir/relay.log" 10 '"message_accepted"') || { echo "the relay accepted nothing" >&2; exit 1; }
id=$(printf '%s\n' "$accepted" | field id)
session=$(printf '%s\n' "$accepted" | field session)
attempt=$(line_with "$dir/relay.log" 20 '"attempt_finished"' "\"$id\"") || { echo "the relay delivered nothing" >&2; exit 1; }
arrived=$(line_with "$dir/sink.log" 10 '"message"' '"office@example.org"') || { echo "nothing arrived at the sink" >&2; exit 1; }

echo
echo "trace of message $id, session $session"
printf '%s\n' "$accepted" | sed 's/.*"decisions":\[\(.*\)\].*/\1/; s/},{/}\n{/g' |
  sed 's/.*"hook":"\([^"]*\)","policy":"\([^"]*\)","verdict":"\([^"]*\)"\(,"rule":"\([^"]*\)"\)\{0,1\}.*/  asked     \1: \2 says \3 \5/'
echo "  accepted  from copier4@example.edu for office@example.org, $(printf '%s\n' "$accepted" | field size_bytes) octets," \
  "on disk after $(printf '%s\n' "$accepted" | field commit_us) us"
echo "  delivered to $(printf '%s\n' "$attempt" | field relay): $(printf '%s\n' "$attempt" | field status)," \
  "$(printf '%s\n' "$attempt" | field delay_us) us after it came"
echo "  arrived   at the sink as $(printf '%s\n' "$arrived" | field id):"
sed 's/^/            /' "$dir/sink/$(printf '%s\n' "$arrived" | field id).eml" | tr -d '\r'
[ -z "$once" ] || exit 0

echo
echo "The relay listens on 127.0.0.1:$relay_port and delivers to the sink on 127.0.0.1:$sink_port. Try:"
echo "  curl smtp://127.0.0.1:$relay_port --mail-from a@example.edu --mail-rcpt b@example.org --upload-file MESSAGE"
echo "  $postern status --control $dir/control.sock"
echo "  $postern simulate --config $dir/postern.lua --client 192.0.2.7 --from a@example.edu --to b@example.org"
echo "Its log is $dir/relay.log, stored mail is in $dir/sink; Ctrl-C ends all of it."
wait "$relay_pid"
