# Splits the measurements into a part to learn from and a part to judge by, three to one.
#
# Rows with a missing measurement are left out. The order is shuffled by a small generator with a fixed
# seed, so the same data always splits the same way.
set -eu

awk -F, -v train=/out/train/penguins.csv -v test=/out/test/penguins.csv '
    function chance() { seed = (seed * 1103 + 12345) % 65536; return seed / 65536 }
    BEGIN { seed = 2020 }
    NR == 1 { header = $1 "," $3 "," $4 "," $5 "," $6; next }
    $3 == "NA" || $4 == "NA" || $5 == "NA" || $6 == "NA" { left_out++; next }
    { row[++rows] = $1 "," $3 "," $4 "," $5 "," $6 }
    END {
        for (i = rows; i > 1; i--) { j = 1 + int(chance() * i); swap = row[i]; row[i] = row[j]; row[j] = swap }
        print header > train
        print header > test
        for (i = 1; i <= rows; i++) print row[i] > (i % 4 == 0 ? test : train)
        printf "%d penguins to learn from, %d to judge by, %d left out\n", rows - int(rows / 4), int(rows / 4), left_out
    }
' /in/raw/penguins.csv
