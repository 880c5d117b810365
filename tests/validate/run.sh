#!/bin/sh
# Holds the drawings of lineages and of graphs of Plans against what the authors of their formats publish: OpenLineage,
# PROV-JSON and RO-Crate by their validators, DOT by Graphviz, flowcharts by Mermaid and pictures by a browser. And the
# script for PowerShell against a grammar of it.
#
#     sh tests/validate/run.sh target/debug
#
# The directory is the one with the two built programs. A server of its own makes a past of everything that a drawing
# can show: uploads, Runs that succeed, fail and wait, logs, tags with every sort of character, walks that are cut. It
# and everything it kept are gone at the end.
set -eu

# How long the Runs may take to end, in tenths of a second.
RUNS_MAX=600

[ $# -eq 1 ] || { echo "usage: sh tests/validate/run.sh DIRECTORY_OF_KNIT_AND_KNITD" >&2; exit 2; }
programs=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
python=${VALIDATORS:-python3}
if ! "$python" -c 'import openlineage.client, prov, jsonschema, rocrate_validator, rocrate, tree_sitter_powershell' >/dev/null 2>&1; then
    cat >&2 <<END
This needs validators that are written in Python. Install them where they disturb nothing, and try again:
    python3 -m venv ~/validators && ~/validators/bin/pip install -r tests/validate/requirements.txt
    VALIDATORS=~/validators/bin/python make validate
END
    exit 1
fi
for program in curl dot chromium; do
    command -v $program >/dev/null || { echo "install $program first (Debian: curl, graphviz, chromium)" >&2; exit 1; }
done
mermaid=${MERMAID:-$HOME/validators/node_modules/mermaid/dist/mermaid.min.js}
if ! [ -e "$mermaid" ]; then
    cat >&2 <<END
This needs Mermaid. Install it where it disturbs nothing, and try again:
    npm install --prefix ~/validators mermaid@11.17.2
Elsewhere, say where its file mermaid.min.js is: MERMAID=FILE make validate
END
    exit 1
fi
. "$here/../server.sh"

the_runs_have_ended() {
    [ "$(knit run find -s done -s failed --output name | wc -l)" -ge 4 ] && [ -z "$(knit run find -s running -s starting -s ready --output name)" ]
}

plan() {
    cat <<END
image: host:latest
entrypoint: ["sh", "-c"]
args: ['$1', "two words", "\"quoted\" <&> \\\\"]
inputs: [{path: /in, tags: ["$2"]}]
outputs: [{path: "/out/$3", tags: ["$3:made"]}]
log: {tags: ["type:log"]}
END
}

make_a_past() {
    mkdir "$work/data"
    echo content >"$work/data/file"
    plan 'cp /in/file /out/step1/file' type:given step1 >"$work/1.yaml"
    plan 'cp /in/file /out/step2/file' step1:made step2 >"$work/2.yaml"
    plan 'echo "no, <never>" >&2; exit 3' step1:made step3 >"$work/3.yaml"
    for number in 1 2 3; do
        knit plan apply "$work/$number.yaml" || return 1
    done
    knit data push -t type:given -t "note:it's <b> & %20, 日本語" "$work/data" || return 1
    within $RUNS_MAX the_runs_have_ended || return 1
    # One whose Run will not start, and one that nothing has to do with.
    knit plan active no "$(knit plan find --output name | head -n 1)"
    knit data push -t type:lonely "$work/data"
}

# Draws everything that can be asked about, by both programs: file names say what and how.
draw() {
    for data in $(knit data find --output name); do
        for format in openlineage prov ro-crate dot mermaid svg; do
            knit data lineage -n all -o $format "$data" >"$work/drawn/data-$data-all.$format"
            knit data lineage -n 1 -u -o $format "$data" >"$work/drawn/data-$data-cut.$format"
            curl -fsS "$KNIT_SERVER/api/data/$data/lineage?format=$format" >"$work/drawn/data-$data-server.$format"
        done
    done
    for run in $(knit run find --output name); do
        for format in openlineage prov ro-crate dot mermaid svg; do
            knit run lineage -n all -o $format "$run" >"$work/drawn/run-$run.$format"
        done
    done
    for plan in $(knit plan find --output name); do
        for format in dot mermaid svg; do
            knit plan graph -n all -o $format "$plan" >"$work/drawn/plan-$plan-all.$format"
            knit plan graph -n 1 -d -o $format "$plan" >"$work/drawn/plan-$plan-cut.$format"
            curl -fsS "$KNIT_SERVER/api/plans/$plan/graph?format=$format" >"$work/drawn/plan-$plan-server.$format"
        done
    done
}

accepted_by_graphviz() {
    for file in "$work"/drawn/*.dot; do
        dot -Tsvg -o /dev/null "$file" 2>"$work/complaint" && [ ! -s "$work/complaint" ] || {
            echo "Graphviz does not accept $file:" >&2
            cat "$work/complaint" >&2
            return 1
        }
    done
    echo "Graphviz accepts $(ls "$work"/drawn/*.dot | wc -l) drawings"
}

start_server info
make_a_past >"$work/past" 2>&1 || { cat "$work/past" "$work/knitd.log" >&2; exit 1; }
mkdir "$work/drawn"
draw 2>"$work/complaint" || { cat "$work/complaint" >&2; exit 1; }
accepted_by_graphviz
[ -z "${KEEP_DRAWINGS:-}" ] || cp -r "$work/drawn" "$KEEP_DRAWINGS"
export PYTHONDONTWRITEBYTECODE=1
knit completion powershell >"$work/knit.ps1"
"$python" "$here/powershell.py" "$work/knit.ps1"
"$python" "$here/browser.py" "$work/drawn" "$mermaid"
"$python" "$here/validate.py" "$work/drawn"
