#!/bin/sh
# Tries the HTTP API of a server of its own with requests that Schemathesis makes from its description, allowed
# ones and others: API_EXAMPLES for each operation (200 unless given), drawn from API_SEED (1 unless given).
#
#     sh tests/fuzz/api/run.sh target/debug
#
# The directory is the one with the two built programs. It fails when an answer is a 5xx or not as described,
# and when the server panics or complains. The server and everything it kept are gone at the end.
set -eu

# How long the first Runs may take to finish, in tenths of a second.
RUNS_MAX=600
# How many Data, and so Runs, are there at the beginning: one is soon deleted, stopped or torn off.
DATA=12
# The version whose options these are.
SCHEMATHESIS_VERSION=4.32.5

[ $# -eq 1 ] || { echo "usage: sh tests/fuzz/api/run.sh DIRECTORY_OF_KNIT_AND_KNITD" >&2; exit 2; }
programs=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
schemathesis=${SCHEMATHESIS:-schemathesis}
command -v curl >/dev/null || { echo "install curl first" >&2; exit 1; }
if ! "$schemathesis" --version >/dev/null 2>&1; then
    cat >&2 <<END
This needs Schemathesis, which is written in Python. Install it where it disturbs nothing, and try again:
    python3 -m venv ~/schemathesis && ~/schemathesis/bin/pip install schemathesis==$SCHEMATHESIS_VERSION
    SCHEMATHESIS=~/schemathesis/bin/schemathesis make fuzz-api
END
    exit 1
fi
. "$here/../../server.sh"

# The values of a field in what `knit` prints, each once, as the elements of a list.
values_of() { sed -n "s/^ *\"$1\": \(\"[^\"]*\"\).*/\1/p" | sort -u | paste -sd ,; }

the_runs_are_done() { [ "$(knit run find -s done | grep -c '^        "runId"')" -ge $((2 * DATA)) ]; }

# Something to ask for: nobody guesses ids.
make_a_past() {
    mkdir "$work/data"
    echo content >"$work/data/file"
    cat >"$work/plan.yaml" <<'END'
image: host:latest
entrypoint: ["cp"]
args: ["/in/file", "/out/file"]
inputs: [{path: /in, tags: ["type:given"]}]
outputs: [{path: /out, tags: ["type:made"]}]
log: {tags: ["type:log"]}
END
    for number in $(seq $DATA); do
        knit data push -t type:given -t "number:$number" "$work/data"
    done
    knit plan apply "$work/plan.yaml"
    within $RUNS_MAX the_runs_are_done
}

# What is drawn, beside what the description allows. Images that are nowhere: no command of chance is run.
configure() {
    cat <<END
[dictionaries]
data.values = [$(knit data find | values_of knitId)]
plans.values = [$(knit plan find | values_of planId)]
runs.values = [$(knit run find | values_of runId)]
images.values = ["nowhere/tool:v1", "nowhere/tool", "registry.example.com:5000/nowhere/tool:v1"]
paths.values = ["/in", "/in2"]
outs.values = ["/out", "/out/deep/er"]
tags.values = ["type:given", "type:made", "number:1", "number:2", "a:b"]
keys.values = ["type", "number", "cpu", "memory", "a"]
statuses.values = ["done", "failed", "running,waiting"]
times.values = ["2020-01-01T00:00:00Z", "2999-12-31T23:59:59.999+09:00"]
durations.values = ["1h", "1h30m0.5s", "-2562047h"]
directions.values = ["up", "down", "both"]
depths.values = ["1", "4294967295", "all"]
moments.values = ["0", "1", "20", "2h ago", "2020-01-01T00:00:00Z", "999999"]
formats.values = ["json", "dot", "mermaid", "svg", "openlineage", "prov", "ro-crate"]
prefixes.values = ["", "0", "a", "type:", "knit#", "type:g"]
kinds.values = ["data", "plan", "run"]

[parameters]
"query.image" = { dictionary = "images", probability = 0.5 }
"query.plan" = { dictionary = "plans", probability = 0.5 }
"query.knitIdInput" = { dictionary = "data", probability = 0.5 }
"query.knitIdOutput" = { dictionary = "data", probability = 0.5 }
"query.status" = { dictionary = "statuses", probability = 0.5 }
"query.since" = { dictionary = "times", probability = 0.7 }
"query.duration" = { dictionary = "durations", probability = 0.5 }
"query.direction" = { dictionary = "directions", probability = 0.7 }
"query.depth" = { dictionary = "depths", probability = 0.7 }
"query.as-of" = { dictionary = "moments", probability = 0.7 }
"query.format" = { dictionary = "formats", probability = 0.8 }
"query.prefix" = { dictionary = "prefixes", probability = 0.7 }
"query.of" = { dictionary = "kinds", probability = 0.8 }
"query.data" = { dictionary = "data", probability = 0.7 }
"body.image" = { dictionary = "images", probability = 0.9 }
"body.inputs[*].path" = { dictionary = "paths", probability = 0.7 }
"body.outputs[*].path" = { dictionary = "outs", probability = 0.7 }
"body.inputs[*].tags[*]" = { dictionary = "tags", probability = 0.7 }
"body.outputs[*].tags[*]" = { dictionary = "tags", probability = 0.7 }
"body.log.tags[*]" = { dictionary = "tags", probability = 0.7 }
"body.add[*]" = { dictionary = "tags", probability = 0.5 }
"body.remove[*]" = { dictionary = "tags", probability = 0.5 }
"body.remove_key[*]" = { dictionary = "keys", probability = 0.5 }
"body.unset[*]" = { dictionary = "keys", probability = 0.5 }

[[operations]]
include-path-regex = "^/api/data/"
parameters = { "path.id" = { dictionary = "data", probability = 0.8 }, "query.to" = { dictionary = "data", probability = 0.8 } }

[[operations]]
include-path-regex = "^/api/plans/"
parameters = { "path.id" = { dictionary = "plans", probability = 0.8 } }

[[operations]]
include-path-regex = "^/api/runs/"
parameters = { "path.id" = { dictionary = "runs", probability = 0.8 }, "query.to" = { dictionary = "runs", probability = 0.8 } }
END
}

start_server info,knitd=debug
make_a_past >"$work/past" 2>&1 || { cat "$work/past" "$work/knitd.log" >&2; exit 1; }
configure >"$work/schemathesis.toml"

cd "$work"
failed=0
PYTHONPATH="$here" SCHEMATHESIS_HOOKS="$here/archives.py" PYTHONDONTWRITEBYTECODE=1 "$schemathesis" \
    --config-file "$work/schemathesis.toml" run "$KNIT_SERVER/openapi.json" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing,stateful --max-examples "${API_EXAMPLES:-200}" --seed "${API_SEED:-1}" \
    --generation-database none --suppress-health-check all --continue-on-failure --warnings off --no-color \
    --request-timeout 30 --output-sanitize false || failed=1

echo "Answers by status:"
sed -n 's/.*http\.status=\([0-9]*\).*/\1/p' "$work/knitd.log" | sort | uniq -c
curl -fsS -o /dev/null "$KNIT_SERVER/readyz" || { echo "the server is not well" >&2; failed=1; }
if grep -n -e 'panicked at' -e ' ERROR ' "$work/knitd.log" | head -n 20 | grep . >&2; then
    echo "the server panicked or complained" >&2
    failed=1
fi
exit $failed
