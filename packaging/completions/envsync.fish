# fish completion for envsync(8). Provider names come from envsync itself.
# tests/e2e/test_completions.py holds it to `envsync --help`.

# Is the command one of the arguments? The command is the first word that is neither an option nor
# the argument of one; "none" stands for none yet.
function __envsync_command_is
    set -l skip no
    for word in (commandline -opc)[2..-1]
        switch $word
            case -c --config --root --deadline --unit
                set skip yes
            case '-*'
                set skip no
            case '*'
                if test $skip = no
                    contains -- $word $argv
                    return
                end
                set skip no
        end
    end
    contains -- none $argv
end

# Names of providers with their summaries.
function __envsync_providers
    envsync providers 2>/dev/null | string replace -r '^(\S+)\s+' '$1\t'
end

# Configurations: files that end in .toml and folders; with nothing typed yet, those in /etc/envsync.
function __envsync_configurations
    set -l token (commandline -ct | string replace -r '^--config=' '')
    if test -z "$token"
        for file in /etc/envsync/*.toml
            echo $file
        end
    end
    for file in $token*.toml
        echo $file
    end
    __fish_complete_directories $token ''
end

# Services that systemd knows, and files.
function __envsync_units
    systemctl list-unit-files --type=service --no-legend 2>/dev/null | string replace -r '\s.*' ''
    __fish_complete_suffix .service
end

# Completes the command line behind "--" as one of its own.
function __envsync_behind_dashes
    set -l words (commandline -opc)
    set -l dashes (contains -i -- -- $words)
    or return
    complete -C (string join ' ' -- (string escape -- $words[(math $dashes + 1)..-1]) (commandline -ct))
end

set -l runs '__envsync_command_is none sync'
set -l durations '30s 45s 60s 2m 5m'

complete -c envsync -f

set -l first '__envsync_command_is none'
complete -c envsync -n $first -a sync -d 'fetch, merge and write (the default command)'
complete -c envsync -n $first -a check -d 'validate the configuration and the unit, offline'
complete -c envsync -n $first -a explain -d 'tell which source gives a key, and what it shadows'
complete -c envsync -n $first -a status -d 'tell about the last set: age, sources, stale or held'
complete -c envsync -n $first -a rollback -d 'publish the previous set and hold it'
complete -c envsync -n $first -a exec -d 'run a command with the merged environment'
complete -c envsync -n $first -a init -d 'write a first configuration and the unit\'s drop-in'
complete -c envsync -n $first -a providers -d 'list the providers, or the options of one'
complete -c envsync -n $first -a help -d 'this help, or that of a command'
complete -c envsync -n $first -l version -d 'print the version'

complete -c envsync -l help -d help
complete -c envsync -s q -l quiet -d 'warnings and errors only'
complete -c envsync -s v -l verbose -d more
complete -c envsync -n '__envsync_command_is none sync check explain status rollback exec init' -s c -l config -x \
    -a '(__envsync_configurations)' -d 'the configuration'

complete -c envsync -n $runs -l dry-run -d 'tell what would change, write nothing'
complete -c envsync -n $runs -l exit-code -d 'with --dry-run: exit 1 where something would change'
complete -c envsync -n $runs -l fresh -d 'fetch also where the last set is young (fresh_for)'
complete -c envsync -n $runs -l release -d 'end the hold of a rollback'
complete -c envsync -n '__envsync_command_is none sync explain status rollback' -l root -x -a '(__fish_complete_directories)' \
    -d 'put DIR before every path that is written'
complete -c envsync -n '__envsync_command_is none sync explain status' -l json \
    -d 'one JSON object on stdout'
complete -c envsync -n '__envsync_command_is none sync check explain rollback exec' -l deadline -x -a $durations \
    -d 'bound the whole run'
complete -c envsync -n '__envsync_command_is none check' -l credentials \
    -d 'tell how the AWS sources would authenticate'
complete -c envsync -n '__envsync_command_is none check init' -l unit -x -a '(__envsync_units)' \
    -d 'the systemd unit that runs envsync, a file or a name'
complete -c envsync -n '__envsync_command_is none explain' -l fetch -d 'explain from the sources, not from the last set'

complete -c envsync -n '__envsync_command_is exec' -a '(__envsync_behind_dashes)'
complete -c envsync -n '__envsync_command_is providers' -a '(__envsync_providers)'
complete -c envsync -n '__envsync_command_is help' -a 'sync check explain status rollback exec init providers help'
