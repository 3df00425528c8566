# Completion of influx for fish. Once: influx completion fish > ~/.config/fish/completions/influx.fish
function __influx_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in ($before[1] __complete $before[2..-1] "$current" 2>/dev/null)
        if test "$line" = :file
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c influx -f -a '(__influx_complete)'
