# Completion of influx for bash. In ~/.bashrc: source <(influx completion bash)
_influx() {
    local cur=${COMP_WORDS[COMP_CWORD]} found file
    COMPREPLY=()
    [[ $cur == = ]] && cur=
    # The words go to influx as they were typed: nothing of them is run.
    while IFS=$'\t' read -r found _; do
        if [[ $found == :file ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$cur")
        else
            COMPREPLY+=("$found")
        fi
    done < <("${COMP_WORDS[0]/#\~\//$HOME/}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _influx influx
