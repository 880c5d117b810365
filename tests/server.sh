# A server of its own for a script: source this with `programs` set to the directory of knit and knitd, and `work` will
# be a directory that is gone at the end, with whatever `start_server` started.

# How long the server may take to start, in tenths of a second.
START_MAX=200

work=$(mktemp -d)
server=

clean_up() {
    trap '' INT TERM
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" || true; }
    # What is sealed is read-only.
    chmod -R u+w "$work" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until a command succeeds, for at most so many tenths of a second.
within() {
    tenths=$1
    shift
    until "$@"; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

address() { sed -n 's|.*listening on \(http://[0-9.:]*\).*|\1|p' "$work/knitd.log" | grep .; }

# Starts knitd on an empty log, with these filters of what it says, and points knit at it.
start_server() {
    PATH=$programs:$PATH
    : >"$work/knitd.log"
    # In a session of its own, Ctrl-C reaches the script alone, which then stops the server.
    setsid knitd --state-dir "$work/state" --listen 127.0.0.1:0 --log "$1" 2>"$work/knitd.log" &
    server=$!
    within $START_MAX address >/dev/null || { cat "$work/knitd.log" >&2; exit 1; }
    KNIT_SERVER=$(address)
    export PATH KNIT_SERVER
}
