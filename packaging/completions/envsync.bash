# bash completion for envsync(8). Needs nothing but bash; provider names come from envsync itself.
# tests/e2e/test_completions.py holds it to `envsync --help`.

# _envsync_offer WORDS: those of the words that begin like what is typed.
_envsync_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# _envsync_files: directories and configurations; with nothing typed yet, those in /etc/envsync too.
_envsync_files() {
    local path
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.toml' -- "$cur")
    [[ -n $cur ]] && return
    for path in /etc/envsync/*.toml; do
        [[ -e $path ]] && COMPREPLY+=("$path")
    done
}

# _envsync_units: services that systemd knows, and files.
_envsync_units() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(
        compgen -d -- "$cur"
        compgen -f -X '!*.service' -- "$cur"
        compgen -W "$(systemctl list-unit-files --type=service --no-legend 2>/dev/null |
            while read -r unit _; do printf '%s\n' "$unit"; done)" -- "$cur"
    )
}

# _envsync_exec: options up to "--"; behind it a command line of its own.
_envsync_exec() {
    local dashes
    for ((dashes = 1; dashes < COMP_CWORD; dashes++)); do
        [[ ${COMP_WORDS[dashes]} == -- ]] && break
    done
    if ((dashes == COMP_CWORD)); then
        _envsync_offer "$all --deadline --"
    elif declare -F _command_offset >/dev/null; then
        _command_offset $((dashes + 1))
    elif ((dashes + 1 == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

_envsync() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} command='' word i
    local commands='sync check explain status rollback exec init providers help'
    local all='-c --config -q --quiet -v --verbose --help'
    COMPREPLY=()

    # The command is the first word that is neither an option nor the argument of one.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            -c | --config | --root | --deadline | --unit)
                [[ ${COMP_WORDS[i + 1]-} == = ]] && ((i++))
                ((i++))
                ;;
            -* | =) ;;
            *)
                command=$word
                break
                ;;
        esac
    done

    # --root=DIR comes as three words.
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
    [[ $cur == = ]] && cur=''
    case $prev in
        -c | --config)
            _envsync_files
            return
            ;;
        --root)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return
            ;;
        --unit)
            _envsync_units
            return
            ;;
        --deadline)
            _envsync_offer '30s 45s 60s 2m 5m'
            return
            ;;
    esac

    case $command in
        '')
            if [[ $cur == -* ]]; then
                _envsync_offer "$all --version --dry-run --exit-code --fresh --release --fetch --credentials --unit \
                    --json --root --deadline"
            else
                _envsync_offer "$commands"
            fi
            ;;
        sync) _envsync_offer "$all --dry-run --exit-code --fresh --release --json --root --deadline" ;;
        check) _envsync_offer "$all --unit --credentials --deadline" ;;
        explain) [[ $cur == -* ]] && _envsync_offer "$all --fetch --json --root --deadline" ;;
        status) _envsync_offer "$all --json --root" ;;
        rollback) _envsync_offer "$all --root --deadline" ;;
        exec) _envsync_exec ;;
        init) _envsync_offer "$all --unit" ;;
        providers)
            _envsync_offer "$("$program" providers 2>/dev/null | while read -r word _; do
                printf '%s\n' "$word"
            done)"
            ;;
        help) _envsync_offer "$commands" ;;
    esac
}

complete -F _envsync envsync
