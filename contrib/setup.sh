#!/bin/sh
# setup.sh [test] - installs what building (and testing) needs on Debian 12; does nothing when all of it is there.
#
# Installing Postfix must not start a mail system on this machine: a policy-rc.d that forbids every service start stands in the
# way while packages are installed, and what was there before is put back.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

wanted() {
  if [ "${1:-}" = test ]; then
    sed -n 's/^\([a-z0-9][^ ]*\).*/\1/p' "$here/packages.txt"
  else
    grep -v '\[test\]' "$here/packages.txt" | sed -n 's/^\([a-z0-9][^ ]*\).*/\1/p'
  fi
}

missing=
for package in $(wanted "${1:-}"); do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "setup.sh: these packages are missing:$missing; install them as root" >&2; exit 1; }
  as_root=sudo
fi

policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ]; then
  kept=$policy.before-postern
  $as_root mv "$policy" "$kept"
fi
restore() {
  $as_root rm -f "$policy"
  [ -z "$kept" ] || $as_root mv "$kept" "$policy"
}
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
$as_root chmod +x "$policy"

echo "setup.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
