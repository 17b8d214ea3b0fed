# Sourced by demo.sh and run_tests.sh: make .venv in the repository, and install what is missing.
#   install NAME [further pip arguments]
# PYTHON names the Python to make it with; in Windows this runs in the bash of git.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf '\n== %s\n' "$*"; }

# Windows has a python3 that only opens a shop: what cannot tell its version is passed over.
python=
names=(python3 python)
[ -z "${PYTHON:-}" ] || names=("$PYTHON")  # one path, blanks and all
for name in "${names[@]}"; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null
    then python=$name; break; fi
done
[ -n "$python" ] || {
    echo "error: Python 3.11 to 3.13 is needed; name one with PYTHON=python3.12 bash $0" >&2
    exit 2
}
case "${OSTYPE:-}" in msys* | cygwin*) bin=$PWD/.venv/Scripts ;; *) bin=$PWD/.venv/bin ;; esac
[ -x "$bin/python" ] || { say "making the environment .venv"; "$python" -m venv .venv; }
PATH="$bin:$PATH"

# Install when the lists of packages are newer than the last installation; else it takes no time.
install() {
    local stamp=.venv/installed-${1//[^a-z]/}
    [ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt requirements.txt ] && return
    say "installing $* (a few minutes the first time: PyTorch is large)"
    python -m pip install --quiet --disable-pip-version-check -r requirements.txt "${@:2}"
    touch "$stamp"
}
