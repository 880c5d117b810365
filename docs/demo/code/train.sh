# Learns to tell three species of penguins apart from four measurements: multinomial logistic regression
# by gradient descent. The settings say how many rounds and how large a step.
set -eu
. /in/settings/settings.sh

awk -F, -v rounds="$ROUNDS" -v rate="$RATE" '
    NR == 1 { next }
    {
        n++
        if (!($1 in known)) { known[$1] = ++classes; name[classes] = $1 }
        class[n] = known[$1]
        for (f = 1; f <= 4; f++) { x[n, f] = $(f + 1); mean[f] += $(f + 1) }
    }
    END {
        # Measurements are millimetres and grams; unscaled, grams would drown the rest.
        for (f = 1; f <= 4; f++) {
            mean[f] /= n
            for (i = 1; i <= n; i++) spread[f] += (x[i, f] - mean[f]) ^ 2
            spread[f] = sqrt(spread[f] / n)
            for (i = 1; i <= n; i++) x[i, f] = (x[i, f] - mean[f]) / spread[f]
        }
        for (i = 1; i <= n; i++) x[i, 0] = 1
        for (round = 1; round <= rounds; round++) {
            loss = 0
            for (c = 1; c <= classes; c++) for (f = 0; f <= 4; f++) slope[c, f] = 0
            for (i = 1; i <= n; i++) {
                total = 0
                for (c = 1; c <= classes; c++) {
                    score = 0
                    for (f = 0; f <= 4; f++) score += w[c, f] * x[i, f]
                    p[c] = exp(score)
                    total += p[c]
                }
                loss -= log(p[class[i]] / total)
                for (c = 1; c <= classes; c++) {
                    miss = p[c] / total - (c == class[i])
                    for (f = 0; f <= 4; f++) slope[c, f] += miss * x[i, f] / n
                }
            }
            for (c = 1; c <= classes; c++) for (f = 0; f <= 4; f++) w[c, f] -= rate * slope[c, f]
            if (round == 1 || round == rounds || round % 50 == 0) printf "round %d: loss %.4f\n", round, loss / n
        }
        model = "/out/model/model.csv"
        printf "scale" > model
        for (f = 1; f <= 4; f++) printf ",%.9g,%.9g", mean[f], spread[f] > model
        printf "\n" > model
        for (c = 1; c <= classes; c++) {
            printf "%s", name[c] > model
            for (f = 0; f <= 4; f++) printf ",%.9g", w[c, f] > model
            printf "\n" > model
        }
    }
' /in/train/penguins.csv
