#compdef knit
# Completion of knit for zsh: at every Tab the program itself is asked what may stand at the cursor.
_knit() {
    local -a complete_ones open_ones
    local line
    for line in "${(@f)$(KNIT_COMPLETE=zsh PROGRAM -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        case $line in
            +*) open_ones+=("${line#+}") ;;
            .*) complete_ones+=("${line#.}") ;;
        esac
    done
    (( $#complete_ones )) && _describe -V knit complete_ones
    (( $#open_ones )) && _describe -V knit open_ones -S ''
}
if [[ ${funcstack[1]} == _knit ]]; then
    _knit "$@"
else
    compdef _knit knit
fi
