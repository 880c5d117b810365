"""Shows drawings to a real browser.

    python browser.py DIRECTORY MERMAID

The directory has files *.svg and *.mermaid; MERMAID is the file `mermaid.min.js` of the authors of Mermaid. Chromium
reads each picture as XML and as an image, and lets Mermaid draw each flowchart, which must have all its boxes.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

# Seconds of the browser's own time for all drawings; it ends earlier in ours when nothing is left to do.
BUDGET_SECONDS = 600

PAGE = """<!doctype html>
<meta charset="utf-8">
<body>
<script src="MERMAID"></script>
<script>
const drawings = DRAWINGS;

async function flowchart(text, number) {
    const { svg } = await mermaid.render(`flowchart${number}`, text);
    const boxes = new DOMParser().parseFromString(svg, "text/html").querySelectorAll("g.node").length;
    const expected = text.split("\\n").filter((line) => line.includes(":::")).length;
    if (boxes !== expected) throw new Error(`${boxes} boxes and not ${expected}`);
}

async function picture(text) {
    const wrong = new DOMParser().parseFromString(text, "image/svg+xml").querySelector("parsererror");
    if (wrong) throw new Error(wrong.textContent);
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    await image.decode();
    if (!image.naturalWidth || !image.naturalHeight) throw new Error("it has no size");
}

async function all() {
    // A flowchart of many edges is drawn only where the page allows it, as the guide says.
    mermaid.initialize({ startOnLoad: false, maxEdges: 1e6, maxTextSize: 1e9 });
    const told = { accepted: 0, problems: [] };
    for (const [number, { name, text }] of drawings.entries()) {
        try {
            await (name.endsWith(".svg") ? picture(text) : flowchart(text, number));
            told.accepted += 1;
        } catch (error) {
            told.problems.push(`${name}: ${error.message || error}`);
        }
    }
    return told;
}

all().then(
    (told) => document.documentElement.setAttribute("told", JSON.stringify(told)),
    (error) => document.documentElement.setAttribute("told", JSON.stringify({ accepted: 0, problems: [String(error)] })),
);
</script>
"""


def shown(page):
    """What the page tells of itself."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or "google-chrome"
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        budget = f"--virtual-time-budget={BUDGET_SECONDS * 1000}"
        command = [chromium, *options, budget, "--dump-dom", page.as_uri()]
        dom = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    _, _, rest = dom.partition(' told="')
    told, end, _ = rest.partition('"')
    assert end, "the browser did not come to an end with the drawings"
    return json.loads(told.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def main(directory, mermaid):
    files = sorted(path for kind in ("svg", "mermaid") for path in pathlib.Path(directory).glob(f"*.{kind}"))
    assert files, f"no drawings in {directory}"
    drawings = json.dumps([{"name": path.name, "text": path.read_text()} for path in files])
    # Nothing in a script of a page may look like its end.
    text = PAGE.replace("MERMAID", pathlib.Path(mermaid).resolve().as_uri(), 1)
    text = text.replace("DRAWINGS", drawings.replace("<", "\\u003c"), 1)
    with tempfile.TemporaryDirectory() as place:
        page = pathlib.Path(place, "page.html")
        page.write_text(text)
        told = shown(page)
    for problem in told["problems"]:
        print(problem, file=sys.stderr)
    print(f"the browser shows {told['accepted']} of {len(files)} pictures and flowcharts")
    return int(told["accepted"] != len(files))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
