# Judges a model by penguins that it has not seen.
set -eu

awk -F, '
    FNR == NR && $1 == "scale" { for (f = 1; f <= 4; f++) { mean[f] = $(2 * f); spread[f] = $(2 * f + 1) } next }
    FNR == NR { name[++classes] = $1; for (f = 0; f <= 4; f++) w[classes, f] = $(f + 2); next }
    FNR == 1 { next }
    {
        best = 0
        for (c = 1; c <= classes; c++) {
            score = w[c, 0]
            for (f = 1; f <= 4; f++) score += w[c, f] * ($(f + 1) - mean[f]) / spread[f]
            if (!best || score > top) { top = score; best = c }
        }
        n++
        right += (name[best] == $1)
    }
    END { printf "accuracy %.3f (%d of %d)\n", right / n, right, n > "/out/metric/metric.txt" }
' /in/model/model.csv /in/test/penguins.csv
cat /out/metric/metric.txt
