#compdef influx
# Completion of influx for zsh. In ~/.zshrc, after compinit: source <(influx completion zsh)
_influx() {
    local -a found
    local line
    # The words go to influx as they were typed: nothing of them is run.
    while IFS= read -r line; do
        if [[ $line == :file ]]; then
            _files
            return
        fi
        line=${line//:/\\:}
        found+=("${line/$'\t'/:}")
    done < <("${words[1]/#\~\//$HOME/}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe influx found
}
if [[ $funcstack[1] == _influx ]]; then
    _influx "$@"
else
    compdef _influx influx
fi
