# Sourced by the test scripts that are written in sh: results as TAP.
# shellcheck shell=sh

tap_n=0
tap_failed=0

# Each takes the name of a test, which says what is promised.
ok() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1"
}

# not_ok NAME [OUTPUT]: OUTPUT is shown as a comment.
not_ok() {
    tap_n=$((tap_n + 1))
    tap_failed=1
    echo "not ok $tap_n - $1"
    [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'
}

skip() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

# clean NAME COMMAND...: the command succeeds.
clean() {
    tap_name=$1
    shift
    if tap_output=$("$@" 2>&1); then
        ok "$tap_name"
    else
        not_ok "$tap_name" "$tap_output"
    fi
}

# silent NAME COMMAND...: the command has nothing to say.
silent() {
    tap_name=$1
    shift
    tap_output=$("$@" 2>&1) || :
    if [ -z "$tap_output" ]; then
        ok "$tap_name"
    else
        not_ok "$tap_name" "$tap_output"
    fi
}

# judged NAME TOOL VERSION: true where TOOL is the version whose verdict counts. Another version
# is a skip, a tool that is not there is a failure.
judged() {
    if ! tap_version=$("$2" --version 2>/dev/null); then
        not_ok "$1" "$2 is not installed"
        return 1
    fi
    tap_version=$(printf '%s' "$tap_version" | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
    case $tap_version. in
    "$3".*) return 0 ;;
    esac
    skip "$1" "judged with version $3, this is $tap_version"
    return 1
}

# The last command of a script.
finish() {
    echo "1..$tap_n"
    exit "$tap_failed"
}
