#!/bin/sh
# The main job with real files: measurements are split, two models learn from one part, and both are judged by
# the other. Nobody starts a Run by hand; each starts when the Data that its Plan asks for are there.
#
#     sh docs/demo/run.sh target/debug
#
# The directory is the one with the two built programs. Everything happens on a server of its own, in a temporary
# directory that is removed at the end, and can be done again.
set -eu

# How long the server may take to start, and the Runs to finish, in tenths of a second.
START_MAX=200
RUNS_MAX=3000

[ $# -eq 1 ] || { echo "usage: sh docs/demo/run.sh DIRECTORY_OF_KNIT_AND_KNITD" >&2; exit 2; }
programs=$(cd "$1" && pwd)
for program in knit knitd; do
    [ -x "$programs/$program" ] || { echo "$programs/$program is not there: run \`cargo build -p knitd -p knit\`" >&2; exit 1; }
done
cd "$(dirname "$0")/../.."
bold=
plain=
[ ! -t 1 ] || { bold=$(printf '\033[1m'); plain=$(printf '\033[0m'); }
work=$(mktemp -d)
server=

# Stops what is unfinished, then the server, and removes everything; also after an error or Ctrl-C.
clean_up() {
    trap '' INT TERM
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        # A Run that is made only now must not start a Worker, which would outlive its server.
        for plan in $(knit plan find --image host 2>/dev/null | id_of planId); do
            knit plan active no "$plan" >/dev/null 2>&1 || true
        done
        for run in $(knit run find -s waiting -s ready -s starting -s running 2>/dev/null | id_of runId); do
            knit run stop --fail "$run" 2>/dev/null || true
        done
        within $START_MAX nothing_is_ending || true
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
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

nothing_is_ending() {
    [ -z "$(knit run find -s completing -s aborting 2>/dev/null | id_of runId)" ]
}

# The values of a field in what `knit` prints, one on a line.
id_of() {
    sed -n "s/^ *\"$1\": \"\([^\"]*\)\".*/\1/p"
}

say() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# Shows a command as a user would type it, runs it, and keeps what it prints in $work/answer.
type_in() {
    printf '$ %s\n' "$*"
    "$@" >"$work/answer" 2>"$work/notes" || { cat "$work/answer" "$work/notes" >&2; exit 1; }
}

push() {
    type_in knit data push "$@"
    echo "  Data $(id_of knitId <"$work/answer" | head -n 1)"
}

apply() {
    type_in knit plan apply "$1"
    echo "  Plan $(id_of planId <"$work/answer" | head -n 1)"
}

# One line for each Run: how it is, what it runs, and its id.
list_runs() {
    awk '
        function value() { sub(/^[^:]*: /, ""); gsub(/[",]/, ""); return $0 }
        /^        "runId"/ { run = value() }
        /^        "status"/ { status = value() }
        /^                "\/code\// { script = $0; gsub(/[ ",]/, "", script) }
        /^    }/ { printf "  %-8s %-18s %s\n", status, script ? script : "upload", run; script = "" }
    ' "$work/answer"
}

both_metrics_are_there() {
    failed=$(knit run find -s failed | id_of runId)
    [ -z "$failed" ] || { echo "a Run failed: $failed" >&2; tail -n 20 "$work/knitd.log" >&2; exit 1; }
    [ "$(knit data find -t type:metric --transient no | grep -c '^        "knitId"')" -eq 2 ]
}

say "A server on this machine: SQLite for its log, sandboxed processes for its Workers"
PATH=$programs:$PATH
echo '$ knitd'
: >"$work/knitd.log"
# In a session of its own, Ctrl-C reaches this script alone, which then stops the server in order.
setsid knitd --state-dir "$work/state" --listen 127.0.0.1:0 2>"$work/knitd.log" &
server=$!
address() { sed -n 's|.*listening on \(http://[0-9.:]*\).*|\1|p' "$work/knitd.log" | grep .; }
within $START_MAX address >/dev/null || { cat "$work/knitd.log" >&2; exit 1; }
KNIT_SERVER=$(address)
export PATH KNIT_SERVER
echo "  listens on $KNIT_SERVER"

say "Data: measurements of penguins, the code that handles them, and two ways to learn"
push -t project:penguins -t type:measurements docs/demo/raw
push -t project:penguins -t type:code docs/demo/code
push -t project:penguins -t type:settings -n docs/demo/settings/hasty
push -t project:penguins -t type:settings -n docs/demo/settings/patient

say "Plans: what to do with Data of which tags"
for plan in split train evaluate; do
    apply docs/demo/plans/$plan.yaml
done

say "Runs start by themselves, and feed each other"
within $RUNS_MAX both_metrics_are_there || { echo "the Runs did not finish in time" >&2; tail -n 20 "$work/knitd.log" >&2; exit 1; }
type_in knit run find
list_runs

say "The results, and which is the better one"
type_in knit data find -t type:metric
metrics=$(grep '^        "knitId"' "$work/answer" | id_of knitId)
for metric in $metrics; do
    echo "  Data $metric"
done
for metric in $metrics; do
    type_in knit data pull -x "$metric" "$work/metrics"
    echo "  $(cat "$work/metrics/$metric/metric.txt")"
    echo "$(cut -d ' ' -f 2 "$work/metrics/$metric/metric.txt") $metric" >>"$work/ranking"
done
better=$(sort -rn "$work/ranking" | sed -n '1s/.* //p')

say "Where the better one came from"
type_in knit data lineage --upstream -n all -o tree "$better"
cat "$work/answer"
say "Done. The server is stopped and everything is removed."
