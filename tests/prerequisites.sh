# The tests start a PostgreSQL server of their own as an ordinary user, turn the clock under running programs,
# press Tab in shells, and verify an export with a script in Python and OpenSSL; this makes sure that they can. As root it installs what is missing; otherwise it names the one line that does.
set -eu

missing=
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
for shell in bash zsh fish; do
    command -v $shell >/dev/null 2>&1 || missing="$missing $shell"
done
command -v script >/dev/null 2>&1 || missing="$missing bsdutils"
command -v setpriv >/dev/null 2>&1 || missing="$missing util-linux"
command -v python3 >/dev/null 2>&1 || missing="$missing python3"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing" >&2
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
else
    echo "The tests need Debian packages that are not installed. As root, run:" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
