# Sourced by demo.sh and run_tests.sh: make .venv in the repository, and install what is missing.
#   install NAME [further pip arguments]

cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf '\n== %s\n' "$*"; }

"${PYTHON:-python3}" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "error: Python 3.11 to 3.13 is needed; name one with PYTHON=python3.12 bash $0" >&2
    exit 2
}
[ -x .venv/bin/python ] || { say "making the environment .venv"; "${PYTHON:-python3}" -m venv .venv; }
PATH="$PWD/.venv/bin:$PATH"

# Install when the lists of packages are newer than the last installation; else it takes no time.
install() {
    local stamp=.venv/installed-${1//[^a-z]/}
    [ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt requirements.txt ] && return
    say "installing $* (a few minutes the first time: PyTorch is large)"
    python -m pip install --quiet --disable-pip-version-check -r requirements.txt "${@:2}"
    touch "$stamp"
}
